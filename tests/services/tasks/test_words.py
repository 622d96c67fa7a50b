"""Words: how texts are taken apart, and what a search finds on both databases."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.database import Database
from core.errors import BadUserInputError
from models import Task
from services.accounts.caller import Caller
from services.query.pagination import Window, fetch_page
from services.tasks.task_lists import TaskFilter, task_listing
from services.tasks.words import searchable, words_of
from tests.services.task_rows import make_tasks


@pytest.mark.parametrize(
    ("texts", "words"),
    [
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
    ],
)
def test_words_of_texts_are_folded_sorted_and_unique(texts: tuple[str | None, ...], words: list[str]) -> None:
    assert words_of(*texts) == words
    assert searchable(*texts) == " ".join(words)


@given(st.text(max_size=60))
def test_words_are_of_letters_digits_and_underscores(text: str) -> None:
    for word in words_of(text):
        assert 1 <= len(word) <= 100
        assert all(char.isalnum() or char == "_" for char in word)


Shelf = tuple[Caller, list[Task]]


@pytest.fixture(scope="module")
async def shelf(database: Database) -> Shelf:
    texts: list[tuple[str, str | None]] = [
        ("Water the plants", "in the Kitchen, twice"),
        ("water", None),
        ("Wash the car", ""),
        ("rock'n'roll \\ \"quoted\"", "100% sure: A&B | C!"),
        ("snake_case and __init__", None),
        ("Straße nach Zürich", "Cafe\u0301"),
        ("日本語のタスク", "ﬁsh"),
        ("\N{PARTY POPPER}", None),
        ("x" * 120, "y" * 5_000),
        ("a b c d e", "f g"),
        ("İstanbul ΣΊΣΥΦΟΣ", "ǰ"),
    ]
    return await make_tasks(database, [{"title": title, "description": about} for title, about in texts])


async def found(database: Database, caller: Caller, search: str) -> list[str]:
    listing = task_listing(caller, frozenset({"title"}), TaskFilter(search=search))
    async with database.read() as session:
        page = await fetch_page(session, listing, Window(100, backwards=False, after=None, before=None))
    return sorted(row.title for row in page.rows)


# The beginnings of the titles that are found; None for all.
SEARCHES: list[tuple[list[str] | None, list[str]]] = [
    (None, ["'", "", "   ", ":*", "& | ! ( )", "\N{PARTY POPPER}"]),
    ([], ["ater", "water car", "rock | water", "w_t", "case", "zu", "語", "a b c d e f g h"]),
    (["Water", "water"], ["water", "WATER", "wat", "!water", "'wat':*", "wat:*", "wat%"]),
    (["Wash", "Water", "water"], ["w"]),
    (["Wash", "Water"], ["the"]),
    (["Water"], ["plants water", "wat pla", "water kitchen", "water, kitchen!"]),
    (["rock"], ["rock'n'roll", "rock' & roll", "\\quoted\\", '"quoted" 100% a&b']),
    (["snake"], ["snake", "snake_case", "snake_c", "__in", "_"]),
    (["Straße"], ["strasse", "STRASSE zürich", "CAFÉ"]),
    (["日本語"], ["fi", "日本"]),
    (["xxx"], ["x" * 100, "x" * 120, "X" * 99, "y" * 1_000]),
    (["a b"], ["a b c d e f g", "g f e d c b a"]),
    (["İ"], ["i\u0307stanbul", "σίσυφος", "σίσυφοσ"]),
]


async def test_search_finds_every_word_by_its_beginning(database: Database, shelf: Shelf) -> None:
    caller, tasks = shelf
    everything = sorted(task.title for task in tasks)
    for beginnings, searches in SEARCHES:
        expected = everything if beginnings is None else beginnings
        for search in searches:
            titles = await found(database, caller, search)
            assert len(titles) == len(expected), search
            assert all(map(str.startswith, titles, expected)), search


texts = st.lists(st.sampled_from(["ab", "AB", "abc", "a_b", "b", "ß", "'", "\\", "&", " ", "é", "ÀB"]), max_size=6).map(
    "".join
)


@given(titles=st.lists(texts.filter(str.strip), min_size=1, max_size=8), search=texts)
async def test_search_finds_what_plain_python_finds(database: Database, titles: list[str], search: str) -> None:
    caller, _ = await make_tasks(database, [{"title": title} for title in titles])

    def has_all(title: str) -> bool:
        return all(any(word.startswith(part) for word in words_of(title)) for part in words_of(search))

    assert await found(database, caller, search) == sorted(title for title in titles if has_all(title))


@given(text=st.text(min_size=1, max_size=60), search=st.text(max_size=30))
async def test_any_text_is_stored_and_found(database: Database, text: str, search: str) -> None:
    values: dict[str, Any] = {"title": "title", "description": "".join(c for c in text if c.isprintable())}
    caller, _ = await make_tasks(database, [values])
    whole = words_of("title", values["description"])
    assert await found(database, caller, " ".join(whole)) == ["title"]
    if "\0" not in search and search.isprintable():
        wanted = words_of(search)
        expected = all(any(word.startswith(part) for word in whole) for part in wanted)
        assert await found(database, caller, search) == (["title"] if expected else [])


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
