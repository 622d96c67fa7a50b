"""Search by words: the same words on both databases, since they are taken apart here."""

import re
import unicodedata
from typing import Final

_WORD: Final = re.compile(r"\w+")
# Longer words are cut, for PostgreSQL keeps none beyond 2 KiB.
_LONGEST: Final = 100


def words_of(*texts: str | None) -> list[str]:
    """Return the different words of the texts, without regard to case or ways of writing a letter."""
    whole = unicodedata.normalize("NFKC", " ".join(text for text in texts if text)).casefold()
    return sorted({word[:_LONGEST] for word in _WORD.findall(whole)})


def searchable(*texts: str | None) -> str:
    """Return the words as they are kept in a column."""
    return " ".join(words_of(*texts))
