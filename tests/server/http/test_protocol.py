"""HTTP connections, bodies and query strings: which are GraphQL requests, and which are refused, and when."""

import asyncio
from contextlib import suppress
from typing import Final

import pytest
from httpx2 import AsyncClient

from server.http import protocol as connection
from server.http import request_body
from tests.server.asking import GRAPHQL_RESPONSE, JSON, only_code
from tests.server.sample import Happenings
from tests.server.wire import ANSWER, BODY, CLOSING, HEAD, REQUEST, WAITING, Wire, connected, post

HALF: bytes = b"GET /health HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize("beginning", [b"", b"GE", HALF, HALF + b"\r\n"])
async def test_unfinished_head_is_disconnected_after_the_timeout(
    api: AsyncClient, monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    monkeypatch.setattr(connection, "HEAD_TIMEOUT_S", 0.2)
    async with connected(str(api.base_url), beginning) as wire:
        if beginning.endswith(b"\r\n\r\n"):
            assert (await wire.reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 OK\r\n")
            # Stray bytes between requests are the beginning of nothing.
            await wire.send(b"\r\n")
        with suppress(ConnectionResetError):
            assert await wire.reader.read(1) == b""


async def test_request_may_run_longer_than_the_head_timeout(api: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_TIMEOUT_S", 0.2)
    async with connected(str(api.base_url), HEAD) as wire:
        await asyncio.sleep(0.5)
        assert (await wire.ask(BODY)).endswith(ANSWER)


async def test_body_behind_an_unsupported_upgrade_is_not_parsed_as_a_request(wire: Wire) -> None:
    head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n"
    await wire.send(head % len(REQUEST))
    assert b"\r\nconnection: close\r\n" in await wire.reader.readuntil(b"\r\n\r\n")
    await wire.send(REQUEST)
    assert b"HTTP/1.1 " not in await wire.reader.read()


async def test_pipelined_requests_are_answered_in_order(wire: Wire) -> None:
    requests = [post(f'{{"query": "{{ hello(name: \\"{n}\\") }}"}}'.encode()) for n in range(3)]
    await wire.send(b"".join(requests) + CLOSING)
    answers = await wire.reader.read()
    places = [answers.index(f"Hello, {n}!".encode()) for n in range(3)]
    assert places == sorted(places)
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 4
    assert answers.endswith(ANSWER)


@pytest.mark.parametrize("behind", [b"", REQUEST, REQUEST + REQUEST])
async def test_disconnect_cancels_the_running_query(wire: Wire, happenings: Happenings, behind: bytes) -> None:
    await wire.send(WAITING + behind)
    await happenings.began.wait()
    wire.writer.transport.abort()
    await happenings.over.wait()
    assert happenings.ended == ["cancelled"]


@pytest.mark.parametrize("size", [1, 7, 100])
async def test_requests_may_arrive_in_pieces(wire: Wire, size: int) -> None:
    sent = REQUEST + CLOSING
    await wire.send(*(sent[start : start + size] for start in range(0, len(sent), size)))
    assert (await wire.reader.read()).count(ANSWER) == 2


async def test_expect_100_continue_is_answered_before_the_body(wire: Wire) -> None:
    head, _, body = CLOSING.partition(b"\r\n\r\n")
    await wire.send(head + b"\r\nExpect: 100-continue\r\n\r\n")
    assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    await wire.send(body)
    assert (await wire.reader.read()).endswith(ANSWER)


USER_ID = b'{"query": "{ userId }"}'
IS_JSON: Final = {"Content-Type": JSON}
MALFORMED_PARTS: Final = (
    *(b'"operationName": 1', b'"variables": []', b'"variables": "{}"', b'"extensions": 0'),
    *(b'"variables": {"a": "\\ud800"}', b'"variables": {"a": NaN}'),
)
# By the status: bodies of JSON; then what else the head may say of a body that is right.
BODIES: Final[dict[int, list[bytes]]] = {
    400: [
        *(b"", b"{", b"null", b'"{ userId }"', b'[{"query": "{ userId }"}]'),
        *(b"{}", b'{"query": null}', b'{"query": 1}'),
        *(b'{"query": "{ userId }", %b}' % part for part in MALFORMED_PARTS),
        *(b'{"query": "{ hello(name: \\"\xff\\") }"}', b"[" * 100_000, b'{"a":' * 15_000 + b"1" + b"}" * 15_000),
    ],
    413: [b'{"query": "' + b" " * 100_000 + b'"}'],
}
FORM: Final = "application/x-www-form-urlencoded"
HEADS: Final[dict[int, list[dict[str, str]]]] = {
    200: [
        *({"Content-Type": "application/json; charset=utf-8"}, {"Content-Type": 'Application/JSON;charset="UTF-8"'}),
        IS_JSON | {"Content-Encoding": "identity"},
    ],
    415: [
        *({}, {"Content-Type": "text/plain"}, {"Content-Type": FORM}),
        *({"Content-Type": "multipart/form-data; boundary=x"}, {"Content-Type": f"{JSON}; charset=iso-8859-1"}),
        *(IS_JSON | {"Content-Encoding": encoding} for encoding in ("gzip", "br")),
    ],
}


@pytest.mark.parametrize("accept", [GRAPHQL_RESPONSE, JSON])
async def test_body_is_read_or_refused(api: AsyncClient, accept: str) -> None:
    cases = [(body, IS_JSON, status) for status, bodies in BODIES.items() for body in bodies]
    for body, head, status in cases + [(USER_ID, head, status) for status, heads in HEADS.items() for head in heads]:
        response = await api.post("/graphql", content=body, headers=head | {"Accept": accept})
        assert response.status_code == status, (body[:80], head)
        assert response.headers["content-type"] == f"{accept}; charset=utf-8"
        assert status == 200 or only_code(response) == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "length", [b"Content-Length: 20000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n30D40\r\n" + b" " * 200_000]
)
async def test_too_large_body_is_refused_before_it_is_sent(wire: Wire, length: bytes) -> None:
    await wire.send(b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + length)
    assert await wire.reader.readline() == b"HTTP/1.1 413 Request Entity Too Large\r\n"


async def test_content_length_may_have_very_many_zeros(wire: Wire) -> None:
    head = post(USER_ID).removesuffix(USER_ID).replace(b"Content-Length: ", b"Content-Length: " + b"0" * 5_000)
    # In two pieces, or its length would not be asked for.
    assert (await wire.ask(head, USER_ID)).startswith(b"HTTP/1.1 200 ")


async def test_number_of_variables_values_is_bounded(api: AsyncClient) -> None:
    within = (["x"] * 9_999, "," * 20_000, [",,"] * 9_000)
    beyond = (["x"] * 10_001, [["x", "y"]] * 5_000, {f"{n:x}": 0 for n in range(10_001)})
    for values, status in ((within, 200), (beyond, 400)):
        for value in values:
            response = await api.post("/graphql", json={"query": "{ userId }", "variables": {"n": value}})
            assert response.status_code == status, response.text


CHUNKED = f"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
BEGINNING = b'b\r\n{"query":  \r\n'


@pytest.mark.parametrize("beginning", [b"", BEGINNING])
async def test_missing_body_times_out(wire: Wire, monkeypatch: pytest.MonkeyPatch, beginning: bytes) -> None:
    monkeypatch.setattr(request_body, "BODY_TIMEOUT_S", 0.2)
    await wire.send(CHUNKED + beginning)
    assert await wire.reader.readline() == b"HTTP/1.1 408 Request Timeout\r\n"


async def test_disconnect_is_no_failure(api: AsyncClient, wire: Wire, capsys: pytest.CaptureFixture[str]) -> None:
    await wire.send(CHUNKED + BEGINNING)
    wire.writer.transport.abort()
    assert (await api.get("/nothing")).status_code == 404
    assert "Traceback" not in capsys.readouterr().out


QUERY_STRINGS: Final = {
    200: [
        *("query={hello}", "query=query A{hello} query B{userId}&operationName=A"),
        *('query=query($n:String){hello(name:$n)}&variables={"n":"Ada"}', "query={hello}&variables=&extensions={}"),
    ],
    400: [
        *("", "query={hello}&variables=[]", "query={hello}&variables={", "query={hello}&extensions=1"),
        *("query={hello(name:%22%FF%22)}", "&".join(["query={hello}"] * 50)),
        "query={hello}&variables={%22n%22:[" + "1," * 10_000 + "1]}",
    ],
}


async def test_query_string_is_read_or_refused(api: AsyncClient) -> None:
    for status, query_strings in QUERY_STRINGS.items():
        for query_string in query_strings:
            response = await api.get(f"/graphql?{query_string}", headers={"Accept": GRAPHQL_RESPONSE})
            assert response.status_code == status, response.text
