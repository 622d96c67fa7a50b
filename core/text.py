"""Checks of text that a person wrote, with messages that say how to mend it."""

from core.errors import BadUserInputError

_FIRST_SURROGATE = "\ud800"
_LAST_SURROGATE = "\udfff"


def is_storable(text: str) -> bool:
    """Tell whether both databases can keep the text: no NUL and no lone surrogate."""
    if text.isascii():
        return "\0" not in text
    return not any(char == "\0" or _FIRST_SURROGATE <= char <= _LAST_SURROGATE for char in text)


def require_storable(text: str, path: tuple[str, ...]) -> str:
    """Return the text; raise BadUserInputError where it cannot be stored."""
    if is_storable(text):
        return text
    raise BadUserInputError(
        f"{_name(path)} contains a NUL character or a lone surrogate; remove it and send the text as valid Unicode.",
        path=path,
    )


def require_length(text: str, path: tuple[str, ...], *, min_length: int, max_length: int) -> str:
    """Return the text; raise BadUserInputError where its length is out of bounds."""
    if min_length <= len(text) <= max_length and is_storable(text):
        return text
    require_storable(text, path)
    bounds = f"{min_length} to {max_length}" if min_length else f"at most {max_length}"
    raise BadUserInputError(f"{_name(path)} must be {bounds} characters long; it has {len(text)}.", path=path)


def require_line(text: str, path: tuple[str, ...], *, max_length: int) -> str:
    """Return the text without surrounding white space; raise BadUserInputError where nothing or too much is left."""
    return require_length(text.strip(), path, min_length=1, max_length=max_length)


def _name(path: tuple[str, ...]) -> str:
    """Return the name of the input; that of a list's element has its index."""
    return f"{path[-2]}[{path[-1]}]" if path[-1].isdecimal() else path[-1]
