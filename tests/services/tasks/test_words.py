"""Words: how texts are taken apart, and what a search finds on both databases."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.database import Database
from core.errors import BadUserInputError
from services.accounts.caller import Caller
from services.query.pagination import Window, fetch_page
from services.tasks.task_lists import TaskFilter, task_listing
from services.tasks.words import searchable, words_of
from tests.services.task_rows import make_tasks


def test_words_of_texts_are_folded_sorted_and_unique() -> None:
    for texts, words in (
        ((), []),
        ((None, ""), []),
        (("Water the plants",), ["plants", "the", "water"]),
        (("water", "Water WATER"), ["water"]),
        (("e-mail", "it's"), ["e", "it", "mail", "s"]),
        (("snake_case", "__init__"), ["__init__", "snake_case"]),
        (("50% of 3.5",), ["3", "5", "50", "of"]),
        (("Straße", "STRASSE"), ["strasse"]),
        (("Café", "Cafe\u0301"), ["café"]),
        (("\ufb01sh ﬁne", "\uff26\uff55\uff4c\uff4c"), ["fine", "fish", "full"]),
        (("日本 語",), ["日本", "語"]),
        (("a'b\"c\\d:e&f|g!h(i)j*k<->l",), list("abcdefghijkl")),
        (("\N{PARTY POPPER} … — \u200b",), []),
        (("x" * 150,), ["x" * 100]),
    ):
        assert words_of(*texts) == words
        assert searchable(*texts) == " ".join(words)


@given(st.text(max_size=60))
def test_words_are_of_letters_digits_and_underscores(text: str) -> None:
    for word in words_of(text):
        assert 1 <= len(word) <= 100
        assert all(char.isalnum() or char == "_" for char in word)


async def found(database: Database, caller: Caller, search: str) -> list[str]:
    listing = task_listing(caller, frozenset({"title"}), TaskFilter(search=search))
    page = await fetch_page(database.reader, listing, Window(100, backwards=False, after=None, before=None))
    return sorted(row.title for row in page.rows)


def has_all(words: list[str], search: str) -> bool:
    return all(any(word.startswith(part) for word in words) for part in words_of(search))


PARTS = ["ab", "AB", "abc", "a_b", "b", "__b", "ß", "SS", "é", "e\u0301", "ÀB", "日本", "日本語", "ﬁ", "fi", "İ"]
PARTS += ["ς", "Σ", "'", "\\", '"', "&", " ", "!", "|", "( )", ":*", "<->", "%", "_", ",", "\N{PARTY POPPER}"]
PARTS += ["i\u0307", "x" * 99, "x" * 120]
texts = st.lists(st.sampled_from(PARTS), max_size=4).map("".join)


@given(titles=st.lists(texts.filter(str.strip), min_size=1, max_size=8), search=texts)
async def test_search_finds_every_word_by_its_beginning(database: Database, titles: list[str], search: str) -> None:
    caller, _ = await make_tasks(database, [{"title": title} for title in titles])
    assert await found(database, caller, search) == sorted(
        title for title in titles if has_all(words_of(title), search)
    )


async def test_search_is_of_title_and_description(database: Database) -> None:
    values = {"title": "Water the plants", "description": "in the Kitchen, twice"}
    caller, _ = await make_tasks(database, [values])
    for search in ("water kitchen", "wat pla", "KITCHEN, the!", "'wat':*", "!water%", "& |", ""):
        assert await found(database, caller, search) == ["Water the plants"], search
    for search in ("ater", "water car", "water | car", "w_t", "watering"):
        assert await found(database, caller, search) == [], search


printable = st.text(max_size=60).map(lambda text: "".join(filter(str.isprintable, text)))


@given(text=printable, search=printable)
async def test_any_text_is_stored_and_found(database: Database, text: str, search: str) -> None:
    caller, _ = await make_tasks(database, [{"title": "title", "description": text}])
    whole = words_of("title", text)
    assert await found(database, caller, " ".join(whole)) == ["title"]
    assert await found(database, caller, search) == ["title"] * has_all(whole, search)


async def test_longest_description_is_stored_and_found(database: Database) -> None:
    words = [f"w{number:04}" for number in range(1_600)]
    caller, _ = await make_tasks(database, [{"title": "t", "description": " ".join(words)}, {"title": "other"}])
    assert await found(database, caller, " ".join(words[::16])) == ["t"]


async def test_search_longer_than_1000_characters_is_refused(database: Database) -> None:
    caller, _ = await make_tasks(database, [{"title": "t"}])
    with pytest.raises(BadUserInputError) as caught:
        await found(database, caller, "w " * 500 + "w")
    assert caught.value.path == ("filter", "search")
    assert caught.value.message == "search must be at most 1000 characters long; it has 1001."
    assert await found(database, caller, "w " * 500) == []
