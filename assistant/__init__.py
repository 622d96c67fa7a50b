"""The assistant: its agent and tools, the offline model, and the running of runs."""
