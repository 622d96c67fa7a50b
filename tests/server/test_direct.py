"""Operations served before all layers: their answers are what the layers would have made of them."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from core.settings import Settings
from server.app import create_app
from tests.server.asking import GRAPHQL_RESPONSE, JSON
from tests.server.sample import open_door, sample_settings, schema

ELSEWHERE = "https://elsewhere.example.com"
BODY = b'{"query": "{ hello }"}'
HEAD = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
REQUEST = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
ANSWER = b'{"data":{"hello":"Hello, world!"}}'


@pytest.fixture(params=[(), ("https://app.example.com",), ("*",)], ids=["no CORS", "CORS", "CORS for all"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    return sample_settings(tmp_path, environment="production", allowed_origins=request.param)


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with open_door(settings) as client:
        yield client


def comparable(response: httpx.Response) -> list[tuple[str, str]]:
    """Return the headers, but for those that each answer has anew and those that a page of another origin gets."""
    own = ("date", "server", "x-request-id", "access-control-")
    shown = [(name, value) for name, value in response.headers.multi_items() if not name.startswith(own)]
    # What it varies by has no order.
    return sorted((name, ", ".join(sorted(value.split(", ")))) for name, value in shown)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"query": "{ hello }"}, {}),
        ({"query": "{ hello }"}, {"Accept": GRAPHQL_RESPONSE}),
        ({"query": "{ nope }"}, {"Accept": GRAPHQL_RESPONSE}),
        ({"query": '{ fail(how: "unavailable") }'}, {"Accept": JSON}),
        ({"query": "{ long(characters: 900) }"}, {"Accept-Encoding": "gzip"}),
        ({"query": "{ long(characters: 5000) }"}, {"Accept-Encoding": "gzip, br"}),
        ({"query": "{ long(characters: 5000) }"}, {"Accept-Encoding": "identity"}),
        ({"query": "{ hello }"}, {"Authorization": "Bearer nonsense"}),
        ({"query": "{ hello }"}, {"Accept": "image/png"}),
        ({"query": "{ hello }"}, {"Content-Type": "text/plain"}),
    ],
)
async def test_the_layers_would_answer_the_same(
    client: httpx.AsyncClient, body: dict[str, str], headers: dict[str, str]
) -> None:
    sent = {"Content-Type": JSON, "Accept": "*/*"} | headers
    direct = await client.post("/graphql", content=json.dumps(body), headers=sent)
    layered = await client.post("/graphql", content=json.dumps(body), headers=sent | {"Origin": ELSEWHERE})
    assert (direct.status_code, direct.content) == (layered.status_code, layered.content)
    assert comparable(direct) == comparable(layered)
    assert len(direct.headers.get_list("x-request-id")) == 1


async def test_a_server_that_is_not_ours_gets_the_same_answer(client: httpx.AsyncClient, settings: Settings) -> None:
    app = create_app(settings, schema)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=str(client.base_url)) as other:
        for query in ("{ hello }", "{ long(characters: 5000) }"):
            ours = await client.post("/graphql", json={"query": query})
            theirs = await other.post("/graphql", json={"query": query})
            assert (theirs.status_code, theirs.content) == (ours.status_code, ours.content)
            assert comparable(theirs) == comparable(ours)


async def exchange(door: httpx.AsyncClient, *pieces: bytes) -> bytes:
    """Send the pieces one by one, and return all that is answered until the server ends the connection."""
    reader, writer = await asyncio.open_connection(door.base_url.host, door.base_url.port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    answer = await reader.read()
    writer.close()
    return answer


LAST = HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY


async def test_requests_that_do_not_wait_for_answers_get_them_in_order(door: httpx.AsyncClient) -> None:
    sent = [_with_length(f'{{"query": "{{ hello(name: \\"{n}\\") }}"}}'.encode()) for n in range(3)]
    answers = await exchange(door, b"".join(sent) + LAST)
    told = [answers.index(f"Hello, {n}!".encode()) for n in range(3)]
    assert told == sorted(told)
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 4
    assert answers.endswith(ANSWER)


def _with_length(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize("size", [1, 7, 100, 1000])
async def test_requests_in_pieces(door: httpx.AsyncClient, size: int) -> None:
    sent = REQUEST + LAST
    answers = await exchange(door, *(sent[start : start + size] for start in range(0, len(sent), size)))
    assert answers.count(ANSWER) == 2


async def test_a_client_that_asks_before_it_sends_its_body(door: httpx.AsyncClient) -> None:
    reader, writer = await asyncio.open_connection(door.base_url.host, door.base_url.port)
    head, _, body = LAST.partition(b"\r\n\r\n")
    writer.write(head + b"\r\nExpect: 100-continue\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert (await reader.read()).endswith(ANSWER)
    writer.close()


async def test_a_body_over_the_limit_that_has_come_already(door: httpx.AsyncClient) -> None:
    chunk = b'{"query": "{ hello }"' + b" " * 100_000 + b"}"
    chunked = HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = await exchange(door, chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(chunk), chunk))
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_what_is_compressed_can_be_read(door: httpx.AsyncClient) -> None:
    body = b'{"query": "{ long(characters: 5000) }"}'
    head = HEAD + b"Connection: close\r\nAccept-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    _, _, answer = (await exchange(door, head + body)).partition(b"\r\n\r\n")
    assert json.loads(gzip.decompress(answer)) == {"data": {"long": "x" * 5000}}
