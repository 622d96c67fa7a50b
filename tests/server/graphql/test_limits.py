"""Bounds on documents: each hostile one gets exactly one error, and is not validated, let alone executed."""

from pathlib import Path
from typing import Any, Final
from unittest.mock import Mock

import httpx2
import pytest
from graphql import build_schema

from core.settings import Settings
from server.graphql import documents
from server.graphql.documents import Documents
from server.http.errors import RefusedError
from tests.server.sample import sample_settings

SCHEMA: Final = build_schema("type Query { a: Query b: Query x(in: [[In]]): Int name: String } input In { in: In }")


def chain(length: int, first: str, each: str, last: str) -> str:
    """Return a document whose fragments spread each other: `each` has the next one's number for {n}."""
    links = [f"fragment F{n} on Query {{ {each.format(n=n + 1)} }}" for n in range(length)]
    return " ".join([first, *links, f"fragment F{length} on Query {{ {last} }}"])


def many(text: str, count: int) -> str:
    """Return a text that many times over, each with its number for {n}."""
    return " ".join(text.format(n=n) for n in range(count))


# The second backslash escapes the three quotes behind it, so that the string ends at the last ones.
ESCAPED: Final = '{ x(in: """\\\\""" """) '
DOUBLED: Final = "x: a {{ ...F{n} }} y: a {{ ...F{n} }}"
# Each is refused by the bound that is named, with the settings as they are by default.
TOO_MUCH: Final = {
    "QUERY_TOO_LONG": ["{ name }" + " " * 300_000, "#" * 300_000 + "\n{ name }", "{a" * 100_000 + "}" * 100_000],
    "TOO_MANY_TOKENS": [
        *("{" + "name " * 5_000 + "}", "{" + many("n{n}: name", 2_000) + "}", "#\n" * 6_000 + "{ name }"),
        *("{ name " + "@skip(if: false) " * 1_000 + "}", "{ x(in: [" + "-1" * 5_000 + "]) }"),
        ESCAPED + "name " * 5_000 + "}",
    ],
    "QUERY_TOO_DEEP": [
        *("{a" * depth + "}" * depth for depth in (16, 101, 3_000)),
        *("{a" * 20_000, "{ x(in: " + "[" * 3_000 + "]" * 3_000 + ") }", "{ name " + "@a(b: [" * 200),
        *("{ x(in: " + "{in: " * 1_000 + "1" + "}" * 1_000 + ") }", ESCAPED + "a {" * 200),
        chain(20, "{ ...F0 }", "a {{ ...F{n} }}", "name"),
        # Fragments without a field between them, and a document that spreads none of its fragments.
        chain(300, "{" + "a {" * 15 + "...F0" + "}" * 16, "...F{n}", "name"),
        chain(20, "{ name }", "a {{ ...F{n} }}", "name"),
        "{ __schema " + "{ types { ofType" * 11 + "{ name }" + "}}" * 11 + "}",
    ],
    "TOO_MANY_ALIASES": [
        *("{" + many("n{n}: name", 101) + "}", chain(7, "{ ...F0 }", DOUBLED, "name")),
        chain(200, "{ ...F0 }", DOUBLED, "name").replace("{ ...F0 }", "{ name }"),
    ],
    "TOO_MANY_DIRECTIVES": [
        *("{ name " + "@a " * 1_000 + "}", "query " + "@a " * 51 + "{ name }", "{ ..." + " @a" * 51 + " { name } }"),
        "query (" + many("$v{n}: Int @a", 51) + ") { name }",
        "{ ...F0 } fragment F0 on Query " + "@a " * 51 + "{ name }",
        chain(6, "{ ...F0 }", "a {{ ...F{n} }} b {{ ...F{n} }}", "name @a"),
    ],
    "TOO_MANY_FIELDS": [
        *("{" + "name " * 51 + "}", "{" + "a { name } " * 51 + "}"),
        "{" + many("...F{n}", 51) + "}" + many("fragment F{n} on Query {{ name }}", 51),
        chain(14, "{ ...F0 }", "a {{ ...F{n} }} b {{ ...F{n} }}", "name"),
        chain(400, "{ ...F0 }", "...F{n} ...F{n}", "name"),
    ],
}
CYCLES: Final = [
    "{ ...A } fragment A on Query { ...A }",
    "{ ...A } fragment A on Query { a { ...B } } fragment B on Query { ... { ...A } }",
    "{ name } fragment A on Query { ...B } fragment B on Query { ...C } fragment C on Query { ...A }",
    chain(400, "{ ...F0 }", "...F{n}", "...F0"),
]
WITHIN: Final = [
    *("{a" * 14 + "{ name }" + "}" * 14, "{" + many("n{n}: name", 100) + "}", "{" + "name " * 50 + "}"),
    chain(100, "{ ...F0 }", "...F{n}", "name"),
    *('{ name } # {{{{{{ """ "', "{ x(in: []) name @include(if: true) }"),
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return sample_settings(tmp_path)


@pytest.fixture
def refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a function that returns the one error of a document that must not come as far as validation."""
    monkeypatch.setattr(documents, "validate", Mock(side_effect=AssertionError("the document was validated")))

    def error_of(text: str) -> dict[str, Any]:
        with pytest.raises(RefusedError) as refusal:
            Documents(SCHEMA, settings).get(text)
        assert refusal.value.status == 400
        (error,) = refusal.value.errors
        return error

    return error_of


@pytest.mark.parametrize("code", TOO_MUCH)
def test_document_over_a_bound_is_refused(refused: Any, code: str) -> None:
    for text in TOO_MUCH[code]:
        error = refused(text)
        assert error["extensions"]["code"] == code, text[:100]
        assert str(error["extensions"]["limit"]) in error["message"]


def test_fragment_that_spreads_itself_is_refused(refused: Any) -> None:
    for text in CYCLES:
        error = refused(text)
        assert error["extensions"] == {"code": "GRAPHQL_VALIDATION_FAILED"}
        assert "must not spread itself" in error["message"]


def test_syntax_error_is_a_parse_failure(refused: Any) -> None:
    for text in ("{a" * 50 + "}" * 49, "{ name " + "@a " * 1_000 + "(", '{ name(a: "' + "a" * 100_000):
        assert refused(text)["extensions"]["code"] == "GRAPHQL_PARSE_FAILED"


def test_document_within_the_bounds_is_prepared(settings: Settings) -> None:
    for text in WITHIN:
        assert Documents(SCHEMA, settings).get(text).operations


def test_deep_brackets_are_refused_before_parsing(refused: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "parse", Mock(side_effect=AssertionError("the document was parsed")))
    assert refused("{a" * 3_000 + "}" * 3_000)["extensions"]["code"] == "QUERY_TOO_DEEP"


@pytest.mark.parametrize("accept", ["application/graphql-response+json", "application/json"])
async def test_limit_is_in_the_response(api: httpx2.AsyncClient, accept: str) -> None:
    query = "{ thing " + "{ inner " * 20 + "{ name }" + "}" * 21
    response = await api.post("/graphql", json={"query": query}, headers={"Accept": accept})
    told = "The operation nests fields 22 deep, counted with its fragments; the limit is 15."
    error = {"message": told, "extensions": {"code": "QUERY_TOO_DEEP", "limit": 15}}
    assert (response.status_code, response.json()) == (400, {"errors": [error]})
