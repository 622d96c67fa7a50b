"""Search by words: the same words on both databases, since they are taken apart here."""

import re
import unicodedata
from typing import Final

# Longer words are cut, for PostgreSQL keeps none beyond 2 KiB.
_WORD: Final = re.compile(r"(\w{1,100})\w*")


def words_of(*texts: str | None) -> list[str]:
    """Return the different words of the texts, without regard to case or ways of writing a letter."""
    whole = unicodedata.normalize("NFKC", " ".join(filter(None, texts))).casefold()
    return sorted(set(_WORD.findall(whole)))


def searchable(*texts: str | None) -> str:
    """Return the words as they are kept in a column."""
    return " ".join(words_of(*texts))
