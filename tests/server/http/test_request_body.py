"""Bodies and query strings: which are GraphQL requests, and which are refused, and when."""

import httpx2
import pytest

from server.http import request_body
from tests.server.asking import GRAPHQL_RESPONSE, JSON, only_code
from tests.server.wire import Wire, post

BODY = b'{"query": "{ userId }"}'


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (BODY, {"Content-Type": "application/json; charset=utf-8"}, 200),
        (BODY, {"Content-Type": 'Application/JSON;charset="UTF-8"'}, 200),
        (BODY, {"Content-Type": JSON, "Content-Encoding": "identity"}, 200),
        (BODY, {}, 415),
        (BODY, {"Content-Type": "text/plain"}, 415),
        (BODY, {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (BODY, {"Content-Type": "multipart/form-data; boundary=x"}, 415),
        (BODY, {"Content-Type": "application/json; charset=iso-8859-1"}, 415),
        (BODY, {"Content-Type": JSON, "Content-Encoding": "gzip"}, 415),
        (BODY, {"Content-Type": JSON, "Content-Encoding": "br"}, 415),
        (b"", {"Content-Type": JSON}, 400),
        (b"{", {"Content-Type": JSON}, 400),
        (b"null", {"Content-Type": JSON}, 400),
        (b'"{ userId }"', {"Content-Type": JSON}, 400),
        (b'[{"query": "{ userId }"}]', {"Content-Type": JSON}, 400),
        (b"{}", {"Content-Type": JSON}, 400),
        (b'{"query": null}', {"Content-Type": JSON}, 400),
        (b'{"query": 1}', {"Content-Type": JSON}, 400),
        (b'{"query": "{ userId }", "operationName": 1}', {"Content-Type": JSON}, 400),
        (b'{"query": "{ userId }", "variables": []}', {"Content-Type": JSON}, 400),
        (b'{"query": "{ userId }", "variables": "{}"}', {"Content-Type": JSON}, 400),
        (b'{"query": "{ userId }", "extensions": 0}', {"Content-Type": JSON}, 400),
        (b'{"query": "{ hello(name: \\"\xff\\") }"}', {"Content-Type": JSON}, 400),
        (b'{"query": "{ userId }", "variables": {"a": "\\ud800"}}', {"Content-Type": JSON}, 400),
        (b'{"query": "{ userId }", "variables": {"a": NaN}}', {"Content-Type": JSON}, 400),
        (b"[" * 100_000, {"Content-Type": JSON}, 400),
        (b'{"a":' * 15_000 + b"1" + b"}" * 15_000, {"Content-Type": JSON}, 400),
        (b'{"query": "' + b" " * 100_000 + b'"}', {"Content-Type": JSON}, 413),
    ],
)
@pytest.mark.parametrize("accept", [GRAPHQL_RESPONSE, JSON])
async def test_body_is_read_or_refused(
    api: httpx2.AsyncClient, body: bytes, headers: dict[str, str], status: int, accept: str
) -> None:
    response = await api.post("/graphql", content=body, headers={**headers, "Accept": accept})
    assert response.status_code == status
    assert response.headers["content-type"] == f"{accept}; charset=utf-8"
    if status != 200:
        assert only_code(response) == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "length", [b"Content-Length: 20000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n30D40\r\n" + b" " * 200_000]
)
async def test_too_large_body_is_refused_before_it_is_sent(wire: Wire, length: bytes) -> None:
    await wire.send(b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + length)
    assert await wire.reader.readline() == b"HTTP/1.1 413 Request Entity Too Large\r\n"


async def test_content_length_may_have_very_many_zeros(wire: Wire) -> None:
    head = post(BODY).removesuffix(BODY).replace(b"Content-Length: ", b"Content-Length: " + b"0" * 5_000)
    # In two pieces, or its length would not be asked for.
    assert (await wire.ask(head, BODY)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("variables", "status"),
    [
        ({"n": ["x"] * 9_999}, 200),
        ({"n": ["x"] * 10_001}, 400),
        ({"n": [["x", "y"]] * 5_000}, 400),
        ({"n": {f"{n:x}": 0 for n in range(10_001)}}, 400),
        ({"n": "," * 20_000}, 200),
        ({"n": [",,"] * 9_000}, 200),
    ],
)
async def test_number_of_variables_values_is_bounded(api: httpx2.AsyncClient, variables: object, status: int) -> None:
    response = await api.post("/graphql", json={"query": "{ userId }", "variables": variables})
    assert response.status_code == status, response.text


HEAD = f"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
BEGINNING = b'b\r\n{"query":  \r\n'


async def test_body_may_arrive_in_pieces(wire: Wire) -> None:
    assert (await wire.ask(HEAD, BEGINNING, b'c\r\n"{ userId }"\r\n', b"1\r\n}\r\n", b"0\r\n\r\n")).startswith(
        b"HTTP/1.1 200 OK\r\n"
    )


@pytest.mark.parametrize("beginning", [b"", BEGINNING])
async def test_body_that_does_not_arrive_is_answered_after_the_timeout(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    monkeypatch.setattr(request_body, "BODY_TIMEOUT_S", 0.2)
    await wire.send(HEAD + beginning)
    assert await wire.reader.readline() == b"HTTP/1.1 408 Request Timeout\r\n"


async def test_disconnect_within_the_body_is_no_failure(
    api: httpx2.AsyncClient, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    await wire.send(HEAD + BEGINNING)
    wire.writer.transport.abort()
    assert (await api.get("/nothing")).status_code == 404
    assert "Traceback" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("query_string", "status"),
    [
        ("query={hello}", 200),
        ('query=query($n:String){hello(name:$n)}&variables={"n":"Ada"}', 200),
        ("query=query A{hello} query B{userId}&operationName=A", 200),
        ("query={hello}&variables=&extensions={}", 200),
        ("", 400),
        ("query={hello}&variables=[]", 400),
        ("query={hello}&variables={", 400),
        ("query={hello}&extensions=1", 400),
        ("query={hello}&variables={%22n%22:[" + "1," * 10_000 + "1]}", 400),
        ("query={hello(name:%22%FF%22)}", 400),
        ("&".join(["query={hello}"] * 50), 400),
    ],
)
async def test_query_string_is_read_or_refused(api: httpx2.AsyncClient, query_string: str, status: int) -> None:
    response = await api.get(f"/graphql?{query_string}", headers={"Accept": GRAPHQL_RESPONSE})
    assert response.status_code == status, response.text
