"""Text made safe to parse: bounded, valid, in one line each, with what stands in quotes put aside."""

import re
from typing import Final

# Nobody types more to a to-do list, and every pattern stays quick on this much.
MOST_CHARACTERS: Final = 2_000
_FIRST_MARK: Final = 0xE000
_MOST_QUOTES: Final = 50
_FORBIDDEN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ue000-\ue0ff\u200b\ufeff]")
_APOSTROPHES: Final = str.maketrans({"\u2019": "'", "\u2018": "'", "\u00b4": "'", "\u00a0": " ", "\t": " "})
_QUOTED: Final = re.compile(
    '"([^"\n]{1,500})"|\u201c([^\u201d\n]{1,500})\u201d|\u00ab([^\u00bb\n]{1,500})\u00bb|'
    r"(?<![\w'])'([^'\n]{2,500})'(?!\w)"
)
_MARK: Final = re.compile(f"[{chr(_FIRST_MARK)}-{chr(_FIRST_MARK + _MOST_QUOTES)}]")
_SPACES: Final = re.compile(r" {2,}")


class Quotes:
    """Stands a mark in for each quoted text, so that nothing within it is taken for an order."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def hide(self, text: str) -> str:
        """Return the text with its quotes replaced by marks."""
        return _QUOTED.sub(self._mark, text)

    def reveal(self, text: str) -> str:
        """Return the text with its quotes back; one that is all there is loses its quotation marks."""
        stripped = text.strip()
        if _MARK.fullmatch(stripped):
            return self._text(stripped)
        return _MARK.sub(lambda match: f'"{self._text(match[0])}"', text)

    def _mark(self, match: re.Match[str]) -> str:
        if len(self._texts) >= _MOST_QUOTES:
            return match[0]
        self._texts.append(next(group for group in match.groups() if group is not None).strip())
        return chr(_FIRST_MARK + len(self._texts) - 1)

    def _text(self, mark: str) -> str:
        index = ord(mark) - _FIRST_MARK
        return self._texts[index] if index < len(self._texts) else ""


def is_quote(text: str) -> bool:
    """Tell whether a text is the mark of a quote and nothing else."""
    return bool(_MARK.fullmatch(text.strip()))


def clean(message: str) -> str:
    """Return what is read of a message."""
    text = _FORBIDDEN.sub(" ", message[:MOST_CHARACTERS].replace("\r\n", "\n")).translate(_APOSTROPHES)
    return _SPACES.sub(" ", text).strip()
