"""Checks of text that a person wrote."""

import pytest

from core.errors import BadUserInputError
from core.text import is_storable, require_length, require_line

PATH = ("input", "title")


@pytest.mark.parametrize("text", ["", "Buy milk", "Ünïcödé", "日本語", "😀", "line\nbreak\ttab", "\x01\x7f"])
def test_storable(text: str) -> None:
    assert is_storable(text)


@pytest.mark.parametrize("text", ["\0", "a\0b", "é\0", "\ud800", "a\udfffb", "😀\udc00"])
def test_nul_and_lone_surrogates_are_refused(text: str) -> None:
    assert not is_storable(text)
    with pytest.raises(BadUserInputError, match="title contains a NUL character or a lone surrogate;") as raised:
        require_line(text, PATH, max_length=500)
    assert raised.value.path == PATH


def test_line_is_trimmed_and_bounded() -> None:
    for text, kept in ((" a b\n", "a b"), ("\u00a0x\u2003", "x"), ("x" * 500, "x" * 500)):
        assert require_line(text, PATH, max_length=500) == kept
    for text, length in (("", 0), (" \n\t ", 0), ("x" * 501, 501), ("😀" * 501, 501)):
        with pytest.raises(BadUserInputError, match=f"title must be 1 to 500 characters long; it has {length}\\."):
            require_line(text, PATH, max_length=500)
    assert require_length("", PATH, min_length=0, max_length=3) == ""
    with pytest.raises(BadUserInputError, match=r"title must be at most 3 characters long; it has 4\."):
        require_length("four", PATH, min_length=0, max_length=3)
