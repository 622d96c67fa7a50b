"""Runs of the assistant: how they begin, are executed, stop and end, with their tool calls."""
