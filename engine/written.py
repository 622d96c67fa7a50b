"""What is written already."""


class Written:
    """A list as JSON, in place of its items, where these would be selected just as the text has them.

    Its resolver learns from `selected(info).plain` whether it may be returned, and who writes the answer puts the
    text into it as it is.
    """

    __slots__ = ("json",)

    def __init__(self, json: str) -> None:
        self.json = json
