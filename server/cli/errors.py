"""The failure of a command that is told in one line."""


class CommandError(Exception):
    """What a command cannot do, and the remedy."""
