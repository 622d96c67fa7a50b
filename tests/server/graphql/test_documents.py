"""Documents: prepared once, cached within bounds, without hints at the schema in production."""

from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from graphql import build_schema, get_introspection_query, parse

from core.settings import Settings
from server.graphql import documents
from server.graphql.documents import Documents
from server.http.errors import RefusedError
from tests.server.asking import ask
from tests.server.sample import sample_settings

SCHEMA = build_schema("type Query { name: String other(at: Int): String } type Mutation { rename: String }")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return sample_settings(tmp_path)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the texts that are parsed from now on."""
    texts: list[str] = []

    def note(text: str) -> Any:
        texts.append(text)
        return parse(text)

    monkeypatch.setattr(documents, "parse", note)
    return texts


def errors_of(prepared: Documents, text: str) -> Any:
    with pytest.raises(RefusedError) as refusal:
        prepared.get(text)
    return refusal.value.errors


def test_valid_document_is_prepared_once(settings: Settings, parsed: list[str]) -> None:
    prepared = Documents(SCHEMA, settings)
    assert prepared.get("{ name }") is prepared.get("{ name }")
    assert errors_of(prepared, "{ nope }") == errors_of(prepared, "{ nope }")
    assert parsed == ["{ name }", "{ nope }", "{ nope }"]


def test_least_recently_used_document_is_evicted(
    settings: Settings, parsed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "MAX_CACHE_BYTES", 3 * (3 * 1_000 + 4 * 9))
    prepared = Documents(SCHEMA, settings)
    first, second, third, fourth = ("{ name }" + ignored for ignored in " \t\n,")
    for text in (first, second, third, first, fourth):
        prepared.get(text)
    parsed.clear()
    for text in (first, third, fourth, second):
        prepared.get(text)
    assert parsed == [second]


def test_operation_is_selected_by_name_unless_it_is_the_only_one(settings: Settings) -> None:
    prepared = Documents(SCHEMA, settings)
    document = prepared.get("query A { name } mutation B { rename }")
    assert (document.select("A").name, document.select("A").type.value) == ("A", "query")
    assert document.select("B").type.value == "mutation"
    for name in (None, "C", "a"):
        with pytest.raises(RefusedError) as refusal:
            document.select(name)
        assert (refusal.value.status, refusal.value.json_status) == (400, 200)
    assert prepared.get("{ name }").select(None).name is None
    assert prepared.get("query A { name }").select(None).name == "A"


def test_validation_errors_have_their_location_and_are_bounded(settings: Settings) -> None:
    prepared = Documents(SCHEMA, settings)
    errors = errors_of(prepared, "{" + " ".join(f"nope{n}" for n in range(1_000)) + "}")
    assert len(errors) == 21
    assert {error["extensions"]["code"] for error in errors} == {"GRAPHQL_VALIDATION_FAILED"}
    (error,) = errors_of(prepared, "{\n  nmae\n}")
    assert error == {
        "message": "Cannot query field 'nmae' on type 'Query'. Did you mean 'name'?",
        "locations": [{"line": 2, "column": 3}],
        "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"},
    }


MISSPELT: Final = ("{ helo }", "{ hello(nam: 1) }", "{ thing { nam } }", "{ ... on Quer { hello } }")
INTROSPECTION: Final = (
    get_introspection_query(),
    "{ __schema { queryType { name } } }",
    '{ __type(name: "Query") { name } }',
    "{ ...A } fragment A on Query { hello s: __schema { types { name } } }",
    'query A { hello } query B { __type(name: "Query") { name } }',
)


async def test_schema_is_not_disclosed_in_production(
    api: httpx2.AsyncClient, production_api: httpx2.AsyncClient
) -> None:
    for query in MISSPELT:
        assert "Did you mean" in (await ask(api, query=query)).text
        refusal = await ask(production_api, query=query)
        assert ("errors" in refusal.json(), "Did you mean" in refusal.text) == (True, False)
    for query in INTROSPECTION:
        body = {"query": query, "operationName": "B" if "query B" in query else None}
        assert "errors" not in (await ask(api, **body)).json()
        refused = (await ask(production_api, **body)).json()
        assert refused.keys() == {"errors"}
        assert {error["extensions"]["code"] for error in refused["errors"]} == {"GRAPHQL_VALIDATION_FAILED"}
    assert (await ask(production_api, query="{ __typename }")).json() == {"data": {"__typename": "Query"}}
