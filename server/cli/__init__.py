"""The console script `tasktalk`."""

from server.cli.commands import main

__all__ = ["main"]
