"""The Model Context Protocol: the assistant's tools for other programs' models."""
