"""Automatic persisted queries, by Apollo's protocol: a text is sent once with its hash, and then the hash alone."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from graphql import build_schema

from core.settings import Settings
from server.app import create_app
from server.graphql import documents
from server.graphql.documents import Documents
from server.http.request_body import PersistedQuery
from tests.npm import NPM
from tests.server import sample
from tests.server.asking import GRAPHQL_RESPONSE, JSON, ask, ask_by_get, hash_of, only_code, only_error, persisted
from tests.server.graphql.test_http_audit import NODE, node_clients, run
from tests.servers import RunningServer, serve
from tests.socket_client import signed_in_socket
from tests.waiting import PATIENCE_S

__all__ = ["node_clients"]

NOT_FOUND = {"errors": [{"message": "PersistedQueryNotFound", "extensions": {"code": "PERSISTED_QUERY_NOT_FOUND"}}]}
NOT_SUPPORTED = {
    "errors": [{"message": "PersistedQueryNotSupported", "extensions": {"code": "PERSISTED_QUERY_NOT_SUPPORTED"}}]
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return sample.sample_settings(tmp_path)


@pytest.fixture
async def running(settings: Settings) -> AsyncIterator[RunningServer]:
    async with serve(create_app(settings, sample.schema)) as running:
        yield running


@pytest.fixture
async def api(running: RunningServer) -> AsyncIterator[httpx2.AsyncClient]:
    """Give a client of a server that has not been told of any document."""
    async with httpx2.AsyncClient(base_url=running.url, timeout=PATIENCE_S) as client:
        yield client


@pytest.mark.parametrize("accept", [GRAPHQL_RESPONSE, JSON])
@pytest.mark.parametrize("send", [ask, ask_by_get])
async def test_query_is_found_by_hash_after_it_was_sent(api: httpx2.AsyncClient, send: Any, accept: str) -> None:
    query = "query Greet($name: String) { hello(name: $name) }"
    extensions = persisted(query)
    unknown = await send(api, accept, extensions=extensions)
    assert (unknown.status_code, unknown.json()) == (200, NOT_FOUND)
    assert unknown.headers["cache-control"] == "no-store"
    assert unknown.headers["content-type"] == f"{accept}; charset=utf-8"
    sent = await send(api, accept, query=query, extensions=extensions, variables={"name": "Ada"})
    assert (sent.status_code, sent.json()) == (200, {"data": {"hello": "Hello, Ada!"}})
    known = await send(api, accept, extensions=extensions, variables={"name": "Bob"}, operationName="Greet")
    assert (known.status_code, known.json()) == (200, {"data": {"hello": "Hello, Bob!"}})


@pytest.mark.parametrize("nothing", [{"query": None}, {"query": ""}])
async def test_empty_query_counts_as_missing(api: httpx2.AsyncClient, nothing: dict[str, Any]) -> None:
    extensions = persisted("{ hello }")
    assert (await ask(api, **nothing, extensions=extensions)).json() == NOT_FOUND
    await ask(api, query="{ hello }", extensions=extensions)
    assert (await ask(api, **nothing, extensions=extensions)).json() == {"data": {"hello": "Hello, world!"}}


@pytest.mark.parametrize("query", ["{ hello }", "{", "{ nope }"])
async def test_hash_of_another_query_is_refused(api: httpx2.AsyncClient, query: str) -> None:
    extensions = persisted("{ userId }")
    refusal = await ask(api, JSON, query=query, extensions=extensions)
    assert refusal.status_code == 400
    assert only_error(refusal) == {
        "message": "provided sha does not match query",
        "extensions": {"code": "PERSISTED_QUERY_HASH_MISMATCH"},
    }
    assert (await ask(api, extensions=extensions)).json() == NOT_FOUND
    assert (await ask(api, extensions=persisted(query))).json() == NOT_FOUND


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ thing " + "{ inner " * 20 + "{ name }" + "}" * 21, "QUERY_TOO_DEEP"),
        ("{ " + "hello " * 6_000 + "}", "TOO_MANY_TOKENS"),
        ("{ hello } #" + "x" * 300_000, "QUERY_TOO_LONG"),
    ],
)
async def test_refused_query_is_not_registered(api: httpx2.AsyncClient, query: str, code: str) -> None:
    extensions = persisted(query)
    for _ in range(2):
        assert (await ask(api, extensions=extensions)).json() == NOT_FOUND
        assert only_code(await ask(api, query=query, extensions=extensions)) == code


@pytest.mark.parametrize("version", [0, 2, "1", True, None, [1], {}])
@pytest.mark.parametrize("accept", [GRAPHQL_RESPONSE, JSON])
async def test_unknown_version_is_not_supported(api: httpx2.AsyncClient, version: object, accept: str) -> None:
    extensions = persisted("{ hello }", version=version)
    for query in ("{ hello }", ""):
        refusal = await ask(api, accept, query=query, extensions=extensions)
        assert (refusal.status_code, refusal.json()) == (200, NOT_SUPPORTED)


@pytest.mark.parametrize(
    "text_hash",
    [
        *(None, 1, True, [], {}, ["a" * 64], "", "x", "a" * 63, "a" * 65, "g" * 64, "A" * 64, "a" * 64 + "\n"),
        *(
            "sha256:" + "a" * 64,
            "\0" * 64,
            "\N{ARABIC-INDIC DIGIT ONE}" * 64,
            "a" * 50_000,
            hash_of("{ hello }").upper(),
        ),
    ],
)
async def test_malformed_hash_is_refused(api: httpx2.AsyncClient, text_hash: object) -> None:
    for query in ("{ hello }", None):
        refusal = await ask(api, JSON, query=query, extensions=persisted("", sha256Hash=text_hash))
        assert (refusal.status_code, only_code(refusal)) == (400, "BAD_USER_INPUT")
        assert len(refusal.content) < 200


@pytest.mark.parametrize("named", [1, True, [], "x", [{"version": 1}]])
@pytest.mark.parametrize("send", [ask, ask_by_get])
async def test_persisted_query_must_be_an_object(api: httpx2.AsyncClient, send: Any, named: object) -> None:
    refusal = await send(api, extensions={"persistedQuery": named})
    assert (refusal.status_code, only_code(refusal)) == (400, "BAD_USER_INPUT")


@pytest.mark.parametrize("extensions", [None, {}, {"persistedQuery": None}, {"other": 1}])
async def test_other_extensions_are_ignored(api: httpx2.AsyncClient, extensions: Any) -> None:
    hello = {"data": {"hello": "Hello, world!"}}
    assert (await ask(api, query="{ hello }", extensions=extensions)).json() == hello
    refusal = await ask(api, extensions=extensions)
    assert (refusal.status_code, only_code(refusal)) == (400, "BAD_USER_INPUT")
    beside = (extensions or {}) | persisted("{ hello }", miss=True)
    assert (await ask(api, query="{ hello }", extensions=beside)).json() == hello
    assert (await ask(api, extensions=persisted("{ hello }"))).json() == hello


async def test_document_id_may_be_the_hash(api: httpx2.AsyncClient) -> None:
    query = "{ hello }"
    document_id = f"sha256:{hash_of(query)}"
    for accept, status in ((GRAPHQL_RESPONSE, 400), (JSON, 200)):
        unknown = await ask(api, accept, documentId=document_id)
        assert (unknown.status_code, unknown.json()) == (status, NOT_FOUND)
    assert (await ask(api, query="{ userId }", documentId=document_id)).status_code == 400
    assert (await ask(api, query=query, documentId=document_id)).status_code == 200
    for send in (ask, ask_by_get):
        assert (await send(api, documentId=document_id)).json() == {"data": {"hello": "Hello, world!"}}
    assert (await ask(api, extensions=persisted(query))).json() == {"data": {"hello": "Hello, world!"}}


async def test_persisted_mutation_needs_post(api: httpx2.AsyncClient, happenings: sample.Happenings) -> None:
    mutation = 'mutation { note(text: "x") }'
    extensions = persisted(mutation)
    refusal = await ask_by_get(api, query=mutation, extensions=extensions)
    assert (refusal.status_code, refusal.headers["allow"]) == (405, "POST")
    for accept in (GRAPHQL_RESPONSE, "text/event-stream"):
        refusal = await ask_by_get(api, accept, extensions=extensions)
        assert (refusal.status_code, refusal.headers["allow"]) == (405, "POST")
    assert happenings.ended == []
    assert (await ask(api, extensions=extensions)).json() == {"data": {"note": "x"}}
    assert happenings.ended == ["x"]


async def test_mutation_registered_during_a_get_request_is_refused(
    api: httpx2.AsyncClient, happenings: sample.Happenings, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutation = 'mutation { note(text: "late") }'
    named = Documents.get_named
    unknown_at_first: list[str] = []

    def register_after(self: Documents, reference: PersistedQuery, text: str) -> Any:
        try:
            return named(self, reference, text)
        finally:
            unknown_at_first.append(text)
            named(self, reference, mutation)

    monkeypatch.setattr(Documents, "get_named", register_after)
    answer = await ask_by_get(api, "text/event-stream", extensions=persisted(mutation))
    assert "A mutation cannot be sent by GET" in answer.text
    assert (unknown_at_first, happenings.ended) == (["", ""], [])


async def test_event_stream_takes_a_persisted_query(api: httpx2.AsyncClient) -> None:
    extensions = persisted("subscription { ticks }")
    events = "text/event-stream"
    assert (
        f"data: {json.dumps(NOT_FOUND, separators=(',', ':'))}\n"
        in (await ask(api, events, extensions=extensions)).text
    )
    for parameters in ({"query": "subscription { ticks }", "extensions": extensions}, {"extensions": extensions}):
        assert 'data: {"data":{"ticks":1}}\n' in (await ask(api, events, **parameters)).text
        assert 'data: {"data":{"ticks":1}}\n' in (await ask_by_get(api, events, **parameters)).text


async def test_socket_takes_a_persisted_query(running: RunningServer) -> None:
    async with signed_in_socket(running, None) as socket:

        async def subscribe(**payload: Any) -> None:
            await socket.send({"type": "subscribe", "id": "1", "payload": payload})

        query = "subscription { ticks }"
        for named in ({"extensions": persisted(query)}, {"documentId": f"sha256:{hash_of(query)}"}):
            await subscribe(**named)
            if "extensions" in named:
                assert await socket.codes() == ["PERSISTED_QUERY_NOT_FOUND"]
                await subscribe(query=query, **named)
            assert await socket.data() == {"ticks": 1}
            assert await socket.receive() == {"type": "complete", "id": "1"}
        for changes, code in (
            ({"version": 2}, "PERSISTED_QUERY_NOT_SUPPORTED"),
            ({"sha256Hash": hash_of("{ hello }")}, "PERSISTED_QUERY_HASH_MISMATCH"),
            ({"sha256Hash": ["x"]}, "BAD_USER_INPUT"),
        ):
            await subscribe(query=query, extensions=persisted(query, **changes))
            assert await socket.codes() == [code]
        await subscribe(documentId=[])
        assert (await socket.closing())[0] == 4400


def test_registered_texts_are_bounded_in_bytes(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_TEXT_BYTES", 10 * 600)
    prepared = Documents(build_schema("type Query { name: String }"), settings)
    texts = ["{ name }" + " " * number for number in range(100)]
    for text in texts:
        prepared.get_named(PersistedQuery(1, hash_of(text)), text)
    known = [text for text in texts if prepared.registered(hash_of(text))]
    assert 0 < len(known) <= 10
    assert known == texts[-len(known) :]


@pytest.mark.skipif(NODE is None or NPM is None, reason="needs Node: node or npm is not on the path")
@pytest.mark.usefixtures("node_clients")
@pytest.mark.parametrize("library", ["apollo", "urql"])
@pytest.mark.parametrize("get", [False, True])
async def test_npm_clients_use_persisted_queries(running: RunningServer, library: str, get: bool) -> None:
    given = {"library": library, "url": f"{running.url}/graphql", "get": get, "query": "query Greet { hello }"}
    status, output, errors = await run(str(NODE), "persisted.mjs", json.dumps(given))
    assert status == 0, errors
    by_hash = "GET hash" if get else "POST hash"
    by_query = "GET query" if get and library == "urql" else "POST query"
    assert json.loads(output) == {"answers": ["Hello, world!"] * 3, "sent": [by_hash, by_query, by_hash, by_hash]}
