"""Automatic persisted queries, by Apollo's protocol: a text is sent once with its hash, and then the hash alone."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from graphql import build_schema
from httpx2 import AsyncClient

from server.app import create_app
from server.graphql import documents
from server.graphql.documents import Documents
from server.http.request_body import PersistedQuery
from tests.server import sample
from tests.server.asking import GRAPHQL_RESPONSE, JSON, ask, ask_by_get, hash_of, only_code, persisted
from tests.servers import RunningServer, serve
from tests.socket_client import signed_in_socket

TICKS: Final = "subscription { ticks }"
HELLO: Final = {"data": {"hello": "Hello, world!"}}


def error_of(message: str, code: str) -> dict[str, Any]:
    return {"errors": [{"message": message, "extensions": {"code": code}}]}


NOT_FOUND: Final = error_of("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND")
NOT_SUPPORTED: Final = error_of("PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED")
MISMATCH: Final = error_of("provided sha does not match query", "PERSISTED_QUERY_HASH_MISMATCH")


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningServer]:
    async with serve(create_app(sample.sample_settings(tmp_path), sample.schema)) as running:
        yield running


@pytest.fixture
async def api(running: RunningServer) -> AsyncIterator[AsyncClient]:
    """Give a client of a server that has not been told of any document."""
    async with running.client() as client:
        yield client


@pytest.mark.parametrize("accept", [GRAPHQL_RESPONSE, JSON])
@pytest.mark.parametrize("send", [ask, ask_by_get])
async def test_query_is_found_by_hash_after_it_was_sent(api: AsyncClient, send: Any, accept: str) -> None:
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


async def test_hash_of_another_query_is_refused(api: AsyncClient) -> None:
    extensions = persisted("{ userId }")
    for query in ("{ hello }", "{", "{ nope }"):
        refusal = await ask(api, JSON, query=query, extensions=extensions)
        assert (refusal.status_code, refusal.json()) == (400, MISMATCH)
        for each in (extensions, persisted(query)):
            for nothing in (None, ""):
                assert (await ask(api, query=nothing, extensions=each)).json() == NOT_FOUND


REFUSED: Final = {
    "GRAPHQL_PARSE_FAILED": "{",
    "GRAPHQL_VALIDATION_FAILED": "{ nope }",
    "QUERY_TOO_DEEP": "{ thing " + "{ inner " * 20 + "{ name }" + "}" * 21,
    "TOO_MANY_TOKENS": "{ " + "hello " * 6_000 + "}",
    "QUERY_TOO_LONG": "{ hello } #" + "x" * 300_000,
}


async def test_refused_query_is_not_registered(api: AsyncClient) -> None:
    for code, query in REFUSED.items():
        extensions = persisted(query)
        for _ in range(2):
            assert (await ask(api, extensions=extensions)).json() == NOT_FOUND
            assert only_code(await ask(api, query=query, extensions=extensions)) == code


VERSIONS: Final[list[Any]] = [0, 2, "1", True, None, [1], {}]
MALFORMED_HASHES: Final[list[Any]] = [
    *(None, 1, True, [], {}, ["a" * 64], "", "x", "a" * 63, "a" * 65, "g" * 64, "A" * 64, "a" * 64 + "\n", "\0" * 64),
    *("sha256:" + "a" * 64, "\N{ARABIC-INDIC DIGIT ONE}" * 64, "a" * 50_000, hash_of("{ hello }").upper()),
]
NO_OBJECTS: Final[list[Any]] = [1, True, [], "x", [{"version": 1}]]


async def test_unknown_version_and_malformed_hash_are_refused(api: AsyncClient) -> None:
    for query in ("{ hello }", ""):
        for version in VERSIONS:
            for accept in (GRAPHQL_RESPONSE, JSON):
                refusal = await ask(api, accept, query=query, extensions=persisted("{ hello }", version=version))
                assert (refusal.status_code, refusal.json()) == (200, NOT_SUPPORTED)
        for extensions in (persisted("", sha256Hash=text_hash) for text_hash in MALFORMED_HASHES):
            refusal = await ask(api, JSON, query=query, extensions=extensions)
            assert (refusal.status_code, only_code(refusal)) == (400, "BAD_USER_INPUT")
            assert len(refusal.content) < 200
    for send in (ask, ask_by_get):
        for named in NO_OBJECTS:
            refusal = await send(api, extensions={"persistedQuery": named})
            assert (refusal.status_code, only_code(refusal)) == (400, "BAD_USER_INPUT")


@pytest.mark.parametrize("extensions", [None, {}, {"persistedQuery": None}, {"other": 1}])
async def test_other_extensions_are_ignored(api: AsyncClient, extensions: Any) -> None:
    assert (await ask(api, query="{ hello }", extensions=extensions)).json() == HELLO
    refusal = await ask(api, extensions=extensions)
    assert (refusal.status_code, only_code(refusal)) == (400, "BAD_USER_INPUT")
    beside = (extensions or {}) | persisted("{ hello }", miss=True)
    assert (await ask(api, query="{ hello }", extensions=beside)).json() == HELLO
    assert (await ask(api, extensions=persisted("{ hello }"))).json() == HELLO


async def test_document_id_may_be_the_hash(api: AsyncClient) -> None:
    query = "{ hello }"
    document_id = f"sha256:{hash_of(query)}"
    for accept, status in ((GRAPHQL_RESPONSE, 400), (JSON, 200)):
        unknown = await ask(api, accept, documentId=document_id)
        assert (unknown.status_code, unknown.json()) == (status, NOT_FOUND)
    assert (await ask(api, query="{ userId }", documentId=document_id)).status_code == 400
    assert (await ask(api, query=query, documentId=document_id)).status_code == 200
    for send in (ask, ask_by_get):
        assert (await send(api, documentId=document_id)).json() == HELLO
    assert (await ask(api, extensions=persisted(query))).json() == HELLO


async def test_persisted_mutation_needs_post(api: AsyncClient, happenings: sample.Happenings) -> None:
    mutation = 'mutation { note(text: "x") }'
    extensions = persisted(mutation)
    for accept, query in ((GRAPHQL_RESPONSE, mutation), (GRAPHQL_RESPONSE, ""), ("text/event-stream", "")):
        refusal = await ask_by_get(api, accept, query=query, extensions=extensions)
        assert (refusal.status_code, refusal.headers["allow"], happenings.ended) == (405, "POST", [])
    assert (await ask(api, extensions=extensions)).json() == {"data": {"note": "x"}}
    assert happenings.ended == ["x"]


async def test_mutation_registered_during_a_get_request_is_refused(
    api: AsyncClient, happenings: sample.Happenings, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutation = 'mutation { note(text: "late") }'
    get = Documents.get_named

    def register_after(self: Documents, reference: PersistedQuery, text: str) -> Any:
        assert text == ""
        try:
            return get(self, reference, text)
        finally:
            get(self, reference, mutation)

    monkeypatch.setattr(Documents, "get_named", register_after)
    answer = await ask_by_get(api, "text/event-stream", extensions=persisted(mutation))
    assert "A mutation cannot be sent by GET" in answer.text
    assert happenings.ended == []


async def test_event_stream_takes_a_persisted_query(api: AsyncClient) -> None:
    extensions, events = persisted(TICKS), "text/event-stream"
    unknown = json.dumps(NOT_FOUND, separators=(",", ":"))
    assert f"data: {unknown}\n" in (await ask(api, events, extensions=extensions)).text
    for query in (TICKS, ""):
        for send in (ask, ask_by_get):
            answer = await send(api, events, query=query, extensions=extensions)
            assert 'data: {"data":{"ticks":1}}\n' in answer.text


async def test_socket_takes_a_persisted_query(running: RunningServer) -> None:
    async with signed_in_socket(running, None) as socket:

        async def subscribe(**payload: Any) -> None:
            await socket.send({"type": "subscribe", "id": "1", "payload": payload})

        named = {"extensions": persisted(TICKS)}
        await subscribe(**named)
        assert await socket.codes() == ["PERSISTED_QUERY_NOT_FOUND"]
        for payload in (named | {"query": TICKS}, named, {"documentId": f"sha256:{hash_of(TICKS)}"}):
            await subscribe(**payload)
            assert await socket.data() == {"ticks": 1}
            assert await socket.receive() == {"type": "complete", "id": "1"}
        for changes, code in (
            ({"version": 2}, "PERSISTED_QUERY_NOT_SUPPORTED"),
            ({"sha256Hash": hash_of("{ hello }")}, "PERSISTED_QUERY_HASH_MISMATCH"),
            ({"sha256Hash": ["x"]}, "BAD_USER_INPUT"),
        ):
            await subscribe(query=TICKS, extensions=persisted(TICKS, **changes))
            assert await socket.codes() == [code]
        await subscribe(documentId=[])
        assert (await socket.closing())[0] == 4400


def test_registered_texts_are_bounded_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_TEXT_BYTES", 10 * 600)
    prepared = Documents(build_schema("type Query { name: String }"), sample.sample_settings(tmp_path))
    texts = ["{ name }" + " " * number for number in range(100)]
    for text in texts:
        prepared.get_named(PersistedQuery(1, hash_of(text)), text)
    known = [text for text in texts if prepared.registered(hash_of(text))]
    assert 0 < len(known) <= 10
    assert known == texts[-len(known) :]
