"""What peers in Python need to create rows: ids, and the words that a task is searched by."""

import re
import unicodedata
import uuid
from typing import Final

_WORD: Final = re.compile(r"\w+")


def new_id() -> str:
    """Return a random UUID."""
    return str(uuid.uuid4())


def searchable(*texts: str | None) -> str:
    """Return the different words of the texts, in order."""
    whole = unicodedata.normalize("NFKC", " ".join(filter(None, texts))).casefold()
    return " ".join(sorted(set(_WORD.findall(whole))))
