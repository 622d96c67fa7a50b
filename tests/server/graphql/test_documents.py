"""Documents: prepared once, cached within bounds, without hints at the schema in production."""

from pathlib import Path
from typing import Any

import httpx2
import pytest
from graphql import build_schema, get_introspection_query, parse

from core.settings import Settings
from server.graphql import documents
from server.graphql.documents import Documents
from server.http.errors import RefusedError
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


def test_document_is_prepared_once(settings: Settings, parsed: list[str]) -> None:
    prepared = Documents(SCHEMA, settings)
    assert prepared.get("{ name }") is prepared.get("{ name }")
    assert parsed == ["{ name }"]


def test_invalid_document_is_refused_from_memory(settings: Settings, parsed: list[str]) -> None:
    prepared = Documents(SCHEMA, settings)
    assert errors_of(prepared, "{ nope }") == errors_of(prepared, "{ nope }")
    assert parsed == ["{ nope }"]


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


def test_operation_is_selected_by_name(settings: Settings) -> None:
    document = Documents(SCHEMA, settings).get("query A { name } mutation B { rename }")
    assert (document.select("A").name, document.select("A").type.value) == ("A", "query")
    assert document.select("B").type.value == "mutation"
    for name in (None, "C", "a"):
        with pytest.raises(RefusedError) as refusal:
            document.select(name)
        assert (refusal.value.status, refusal.value.json_status) == (400, 200)


def test_only_operation_needs_no_name(settings: Settings) -> None:
    prepared = Documents(SCHEMA, settings)
    assert prepared.get("{ name }").select(None).name is None
    assert prepared.get("query A { name }").select(None).name == "A"


def test_number_of_validation_errors_is_bounded(settings: Settings) -> None:
    errors = errors_of(Documents(SCHEMA, settings), "{" + " ".join(f"nope{n}" for n in range(1_000)) + "}")
    assert len(errors) == 21
    assert {error["extensions"]["code"] for error in errors} == {"GRAPHQL_VALIDATION_FAILED"}


def test_validation_error_has_its_location(settings: Settings) -> None:
    (error,) = errors_of(Documents(SCHEMA, settings), "{\n  nmae\n}")
    assert error == {
        "message": "Cannot query field 'nmae' on type 'Query'. Did you mean 'name'?",
        "locations": [{"line": 2, "column": 3}],
        "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"},
    }


@pytest.mark.parametrize("query", ["{ helo }", "{ hello(nam: 1) }", "{ thing { nam } }", "{ ... on Quer { hello } }"])
async def test_no_suggestions_in_production(
    api: httpx2.AsyncClient, production_api: httpx2.AsyncClient, query: str
) -> None:
    assert "Did you mean" in (await api.post("/graphql", json={"query": query})).text
    refusal = await production_api.post("/graphql", json={"query": query})
    assert refusal.json()["errors"]
    assert "Did you mean" not in refusal.text


@pytest.mark.parametrize(
    "query",
    [
        get_introspection_query(),
        "{ __schema { queryType { name } } }",
        '{ __type(name: "Query") { name } }',
        "{ ...A } fragment A on Query { hello s: __schema { types { name } } }",
        'query A { hello } query B { __type(name: "Query") { name } }',
    ],
)
async def test_introspection_is_refused_in_production(
    api: httpx2.AsyncClient, production_api: httpx2.AsyncClient, query: str
) -> None:
    body = {"query": query, "operationName": "B" if "query B" in query else None}
    assert "errors" not in (await api.post("/graphql", json=body)).json()
    refusal = await production_api.post("/graphql", json=body)
    assert refusal.json().keys() == {"errors"}
    assert {error["extensions"]["code"] for error in refusal.json()["errors"]} == {"GRAPHQL_VALIDATION_FAILED"}


async def test_typename_is_allowed_in_production(production_api: httpx2.AsyncClient) -> None:
    response = await production_api.post("/graphql", json={"query": "{ __typename }"})
    assert response.json() == {"data": {"__typename": "Query"}}
