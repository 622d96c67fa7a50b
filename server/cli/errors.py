"""The error of a command, printed in one line."""


class CommandError(Exception):
    """What a command cannot do, and the remedy."""
