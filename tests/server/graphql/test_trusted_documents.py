"""Trusted documents: read from a manifest or a folder, made ready at the start, and, if so set, the only ones."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from graphql import get_introspection_query

from core.settings import SettingsError
from server.app import create_app
from server.graphql.execution import Operations
from server.serving import check
from tests.server import sample
from tests.server.asking import GRAPHQL_RESPONSE, JSON, ask, ask_by_get, hash_of, only_code, only_error, persisted
from tests.servers import serve
from tests.socket_client import signed_in_socket

GREET = "query Greet($name: String) {\n  hello(name: $name)\n}"
NOTE = 'mutation Note { note(text: "x") }'
TICKS = "subscription Ticks { ticks }"
HELLO = {"data": {"hello": "Hello, world!"}}


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def write_map(folder: Path, texts: dict[str, str]) -> Path:
    """Write what relay-compiler and graphql-codegen write."""
    return write(folder / "persisted.json", texts)


def write_apollos(folder: Path, texts: dict[str, str]) -> Path:
    """Write what generate-persisted-query-manifest writes."""
    operations = [{"id": name, "name": name, "type": "query", "body": text} for name, text in texts.items()]
    return write(folder / "manifest.json", apollos(operations))


def apollos(operations: Any, version: int = 1) -> dict[str, Any]:
    return {"format": "apollo-persisted-query-manifest", "version": version, "operations": operations}


def write_folder(folder: Path, texts: dict[str, str]) -> Path:
    """Write what people write, in folders of folders, with the line break that editors add."""
    documents = folder / "documents"
    for number, (name, text) in enumerate(texts.items()):
        (documents / str(number)).mkdir(parents=True)
        write(documents / str(number) / f"{name}.graphql", text + "\n")
    write(documents / "README.md", "not a document")
    return documents


Write = Callable[[Path, dict[str, str]], Path]
in_each_form = pytest.mark.parametrize("written", [write_map, write_apollos, write_folder])


@asynccontextmanager
async def open_trusting(path: Path, **overrides: Any) -> AsyncIterator[httpx2.AsyncClient]:
    settings = sample.sample_settings(path.parent, trusted_documents=path, **overrides)
    async with sample.open_api(settings) as api:
        yield api


def refusal_of(path: Path, **overrides: Any) -> str:
    settings = sample.sample_settings(path.parent, trusted_documents=path, **overrides)
    with pytest.raises(SettingsError) as raised:
        Operations(sample.schema, settings)
    message = str(raised.value)
    assert message.startswith("TRUSTED_DOCUMENTS is wrong: ")
    assert "\n" not in message
    return message.removeprefix("TRUSTED_DOCUMENTS is wrong: ").replace(str(path), "PATH")


@in_each_form
async def test_trusted_document_is_found_by_id_and_hash(tmp_path: Path, written: Write) -> None:
    path = written(tmp_path, {"greet": GREET, "note": NOTE})
    text_hash = hash_of(GREET)
    async with open_trusting(path, trusted_documents_only=True) as api:
        for send in (ask, ask_by_get):
            for name in ("greet", text_hash, f"sha256:{text_hash}"):
                assert (await send(api, documentId=name)).json() == HELLO
            for name in ("greet", text_hash):
                assert (await send(api, extensions=persisted("", sha256Hash=name))).json() == HELLO
            # Editors end a file with a line break, which clients may print or not.
            for text in (GREET, GREET + "\n") if written is write_folder else (GREET,):
                assert (await send(api, query=text)).json() == HELLO
                assert (await send(api, query=text, extensions=persisted(text))).json() == HELLO
                assert (await send(api, extensions=persisted(text))).json() == HELLO
            assert (await send(api, query=GREET, documentId="greet")).json() == HELLO
        named = await ask(api, documentId="greet", variables={"name": "Ada"}, operationName="Greet")
        assert named.json() == {"data": {"hello": "Hello, Ada!"}}


async def test_other_documents_are_executed_by_default(tmp_path: Path) -> None:
    async with open_trusting(write_map(tmp_path, {"greet": GREET})) as api:
        for named in ({"query": "{ hello }"}, {"documentId": "greet"}, {"query": GREET, "documentId": "greet"}):
            assert (await ask(api, **named)).json() == HELLO
        for accept, status in ((GRAPHQL_RESPONSE, 400), (JSON, 200)):
            unknown = await ask(api, accept, documentId="other")
            assert (unknown.status_code, only_code(unknown)) == (status, "PERSISTED_QUERY_NOT_FOUND")
        assert only_code(await ask(api, extensions=persisted("{ userId }"))) == "PERSISTED_QUERY_NOT_FOUND"
        assert (await ask(api, query="{ userId }", extensions=persisted("{ userId }"))).status_code == 200
        assert (await ask(api, extensions=persisted("{ userId }"))).status_code == 200


HASH: Final = f"sha256:{hash_of('{ hello }')}"
UNTRUSTED: Final[list[dict[str, Any]]] = [
    *({"query": query} for query in ("{ hello }", GREET + " ", "{", "", "{ __typename }", "x" * 1_000_000)),
    {"query": get_introspection_query()},
    *({"documentId": document_id} for document_id in (HASH, "other", "Greet", "x" * 1_000_000)),
    *({"query": "{ hello }", "documentId": document_id} for document_id in ("greet", HASH)),
    *({"extensions": persisted("{ hello }")}, {"query": "{ hello }", "extensions": persisted("{ hello }")}),
]


@pytest.mark.parametrize("environment", ["development", "production"])
async def test_other_documents_are_refused_in_trusted_only_mode(tmp_path: Path, environment: str) -> None:
    path = write_map(tmp_path, {"greet": GREET})
    async with open_trusting(path, trusted_documents_only=True, environment=environment) as api:
        for parameters in UNTRUSTED:
            for accept, status in ((GRAPHQL_RESPONSE, 400), (JSON, 200)) * 2:
                refusal = await ask(api, accept, **parameters)
                case = str(parameters)[:100]
                assert (refusal.status_code, only_code(refusal)) == (status, "DOCUMENT_NOT_TRUSTED"), case
                assert only_error(refusal)["message"].endswith("add it to those that TRUSTED_DOCUMENTS names.")
        assert (await ask(api, query=GREET)).json() == HELLO


async def test_malformed_document_id_is_refused(tmp_path: Path) -> None:
    no_texts: list[Any] = [1, True, [], ["greet"], {}]
    no_hashes = ["sha256:", "sha256:x", "sha256:greet", f"sha256:{hash_of(GREET).upper()}"]
    async with open_trusting(write_map(tmp_path, {"greet": GREET})) as api:
        for document_id in no_texts + no_hashes:
            for query in (None, GREET):
                refusal = await ask(api, documentId=document_id, query=query)
                assert (refusal.status_code, only_code(refusal)) == (400, "BAD_USER_INPUT"), document_id
        assert (await ask(api, documentId="", query=GREET)).json() == HELLO


async def test_trusted_mutation_is_executed_by_id(tmp_path: Path, happenings: sample.Happenings) -> None:
    async with open_trusting(write_map(tmp_path, {"note": NOTE}), trusted_documents_only=True) as api:
        for accept in (GRAPHQL_RESPONSE, JSON, "text/event-stream"):
            for named in ({"documentId": "note"}, {"extensions": persisted(NOTE)}, {"query": NOTE}):
                refusal = await ask_by_get(api, accept, **named)
                assert (refusal.status_code, refusal.headers["allow"]) == (405, "POST")
        assert happenings.ended == []
        assert (await ask(api, documentId="note")).json() == {"data": {"note": "x"}}


async def test_streams_take_trusted_documents(tmp_path: Path) -> None:
    path = write_map(tmp_path, {"ticks": TICKS})
    settings = sample.sample_settings(tmp_path, trusted_documents=path, trusted_documents_only=True)
    async with serve(create_app(settings, sample.schema)) as running, signed_in_socket(running, None) as socket:
        for named in ({"documentId": "ticks"}, {"extensions": persisted(TICKS)}, {"query": TICKS}):
            await socket.send({"type": "subscribe", "id": "1", "payload": named})
            assert await socket.data() == {"ticks": 1}
            assert await socket.receive() == {"type": "complete", "id": "1"}
        await socket.subscribe("subscription { ticks }")
        assert await socket.codes() == ["DOCUMENT_NOT_TRUSTED"]
        async with running.client() as client:
            assert 'data: {"data":{"ticks":1}}\n' in (await ask(client, "text/event-stream", documentId="ticks")).text
            refused = await ask(client, "text/event-stream", query="subscription { ticks }")
            assert "DOCUMENT_NOT_TRUSTED" in refused.text


INVALID: Final = {
    "query {\n  nope\n}": "Cannot query field 'nope' on type 'Query'. (line 2, column 3)",
    "{": "Syntax Error: Expected Name, found <EOF>. (line ",
    "": "Syntax Error: Unexpected <EOF>.",
    "fragment F on Query { hello }": "The document has no operation.",
    "{ ...F }": "Unknown fragment 'F'.",
    "{ thing " + "{ inner " * 20 + "{ name }" + "}" * 21: "nests fields 22 deep",
    "{ " + "hello " * 6_000 + "}": "more than 5000 tokens",
}


@in_each_form
def test_invalid_document_is_a_settings_error(tmp_path: Path, written: Write) -> None:
    for number, (text, reason) in enumerate(INVALID.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        message = refusal_of(written(folder, {"greet": GREET, "wrong": text}))
        assert message.startswith("PATH/1/wrong.graphql: " if written is write_folder else "PATH: wrong: ")
        assert reason in message


def test_serve_fails_with_invalid_trusted_documents(tmp_path: Path) -> None:
    path = write_map(tmp_path, {"greet": GREET})
    with pytest.raises(SettingsError, match="Cannot query field 'hello' on type 'Query'"):
        check(sample.sample_settings(tmp_path, trusted_documents=path))
    write(path, {"schema": get_introspection_query()})
    assert "introspection" in refusal_of(path, environment="production")
    Operations(sample.schema, sample.sample_settings(tmp_path, trusted_documents=path))
    assert sample.sample_settings(tmp_path, trusted_documents="").trusted_documents is None


MALFORMED: Final[dict[str, list[object]]] = {
    "PATH is not valid JSON: ": ["", "{ hello }"],
    "PATH has no documents": [{}, apollos([])],
    "PATH is neither a map from ids to documents nor a manifest": [
        *([], None, {"a": 1}, apollos([], version=2), apollos({}), apollos(["x"]), apollos([{"id": "a"}])),
    ],
    "PATH: sha256:abc: the id is not the hash of the text, which is ": [{"sha256:abc": "{ hello }"}],
}


def test_malformed_manifest_or_unreadable_file_is_a_settings_error(tmp_path: Path) -> None:
    for reason, manifests in MALFORMED.items():
        for manifest in manifests:
            assert refusal_of(write(tmp_path / "manifest.json", manifest)).startswith(reason), manifest
    folder = tmp_path / "documents"
    folder.mkdir()
    assert refusal_of(folder) == "PATH has no documents"
    (folder / "a.graphql").write_bytes(b"{ hello } # \xff")
    assert refusal_of(folder) == "PATH/a.graphql cannot be read: it is not valid UTF-8"


def test_duplicate_id_is_a_settings_error(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, {"same": "{ hello }", "other": "{ hello } "})
    (folder / "1" / "other.graphql").rename(folder / "1" / "same.graphql")
    assert refusal_of(folder) == "PATH/1/same.graphql: another document has the id 'same' too"
    write(folder / "1" / "same.graphql", "{ hello }\n")
    Operations(sample.schema, sample.sample_settings(tmp_path, trusted_documents=folder))


async def test_trusted_document_is_never_evicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.graphql.documents.MAX_CACHE_BYTES", 1)
    async with open_trusting(write_map(tmp_path, {"greet": GREET})) as api:
        for number in range(3):
            assert (await ask(api, query=f"{{ a{number}: hello }}")).status_code == 200
        assert (await ask(api, documentId="greet")).json() == HELLO
