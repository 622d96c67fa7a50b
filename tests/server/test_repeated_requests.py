"""Requests whose head was sent before, in all that can happen to a request."""

import asyncio
import gzip
import re
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from core.database import Database
from core.settings import Environment, Settings
from server.app import create_app
from server.connection import CONNECTION
from tests.clock import MovableClock
from tests.factories import sign_in
from tests.server import sample
from tests.server.wire import (
    ANSWER,
    BODY,
    REQUEST,
    WAITING,
    Wire,
    connected,
    lasting,
    make_known,
    noting,
    post,
)
from tests.servers import serve
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("_nothing_known")


async def test_the_id_that_is_sent_comes_back(wire: Wire) -> None:
    request = post(BODY, "X-Request-ID: mine")
    for _ in range(3):
        assert b"\r\nx-request-id: mine\r\n" in await wire.ask(request)
    ids = {re.search(rb"x-request-id: (\w+)", await wire.ask(REQUEST)) for _ in range(4)}
    assert len({found[1] for found in ids if found}) == 4


async def test_the_bounds_of_bodies_hold(tmp_path: Path) -> None:
    settings = sample.sample_settings(tmp_path, graphql_max_body_bytes=1000)
    small = post(b'{"query": "{ hello }"}' + b" " * 900)
    async with sample.open_door(settings) as door, connected(str(door.base_url)) as wire:
        assert (await make_known(wire, small)).endswith(ANSWER)
        large = post(b'{"query": "{ hello }"}' + b" " * 1000)
        assert (await make_known(wire, large)).startswith(b"HTTP/1.1 413 ")
        assert (await wire.ask(large)).startswith(b"HTTP/1.1 413 ")


async def test_answers_that_are_compressed(wire: Wire) -> None:
    request = post(b'{"query": "{ long(characters: 5000) }"}', "Accept-Encoding: gzip")
    await make_known(wire, request)
    for _ in range(2):
        _, _, body = (await wire.ask(request)).partition(b"\r\n\r\n")
        assert gzip.decompress(body) == b'{"data":{"long":"%b"}}' % (b"x" * 5000)


async def test_pages_of_others_pass_the_layers(tmp_path: Path) -> None:
    page = "https://app.example.com"
    settings = sample.sample_settings(tmp_path, environment="production", allowed_origins=(page,))
    request = post(BODY, f"Origin: {page}")
    async with sample.open_door(settings) as door, connected(str(door.base_url)) as wire:
        first = await make_known(wire, request)
        assert f"access-control-allow-origin: {page}\r\n".encode() in first
        assert first.endswith(ANSWER)
        for _ in range(2):
            assert lasting(await wire.ask(request)) == lasting(first)


@pytest.mark.parametrize(
    ("option", "status"), [({"limit_concurrency": 1}, b"503"), ({"root_path": "/below"}, b"404"), ({}, b"200")]
)
async def test_where_more_than_the_head_decides_the_parser_reads(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: dict[str, Any], status: bytes
) -> None:
    await make_known(wire, REQUEST)
    monkeypatch.setattr("tests.servers.uvicorn.Config", partial(uvicorn.Config, **option))
    app = create_app(sample.sample_settings(tmp_path), sample.schema)
    async with serve(app) as running, connected(running.url) as other:
        assert (await other.ask(REQUEST)).startswith(b"HTTP/1.1 %b " % status)


@pytest.mark.parametrize("how", ["revoked", "expired"])
async def test_a_token_that_is_no_longer_good(
    database: Database, settings: Settings, clock: MovableClock, how: str
) -> None:
    user = await sign_in(database, settings)
    request = post(b'{"query": "{ viewer { id } }"}', f"Authorization: Bearer {user.token}")
    async with serve(create_app(settings)) as running, connected(running.url) as wire:
        assert user.user.id.encode() in await make_known(wire, request)
        assert user.user.id.encode() in await wire.ask(request)
        if how == "expired":
            clock.move_on(user.caller.expires_at - clock.utc_now())
        else:
            sign_out = post(b'{"query": "mutation { signOut { errors { code } } }"}', *_credentials(user.token))
            assert b"errors" in await wire.ask(sign_out)
        refusal = await wire.ask(request)
        assert b'"UNAUTHENTICATED"' in refusal
        assert user.user.id.encode() not in refusal
        accepting = post(b'{"query": "{ viewer { id } }"}', *_credentials(user.token), _ACCEPT)
        for _ in range(3):
            assert (await wire.ask(accepting)).startswith(b"HTTP/1.1 401 ")


_ACCEPT = "Accept: application/graphql-response+json"


def _credentials(token: str) -> tuple[str]:
    return (f"Authorization: Bearer {token}",)


@pytest.mark.parametrize("behind", [b"", REQUEST, REQUEST + REQUEST])
async def test_a_client_that_goes_while_its_request_runs(
    door: httpx.AsyncClient, happenings: sample.Happenings, behind: bytes
) -> None:
    async with connected(str(door.base_url)) as wire:
        happenings.may_end.set()
        await make_known(wire, WAITING)
        again = sample.happenings = sample.Happenings()
        await wire.send(WAITING + behind)
        await again.began.wait()
        wire.writer.transport.abort()
        await again.over.wait()
    assert again.ended == ["cancelled"]


async def test_what_is_sent_while_a_request_runs_waits_for_its_turn(wire: Wire, happenings: sample.Happenings) -> None:
    happenings.may_end.set()
    await make_known(wire, WAITING)
    await make_known(wire, REQUEST)
    again = sample.happenings = sample.Happenings()
    await wire.send(WAITING)
    await again.began.wait()
    await wire.send(REQUEST)
    again.may_end.set()
    assert b'"done"' in await wire.answer()
    assert (await wire.answer()).endswith(ANSWER)
    assert (await wire.ask(REQUEST)).endswith(ANSWER)


async def test_a_server_that_stops_while_a_request_runs(tmp_path: Path, happenings: sample.Happenings) -> None:
    happenings.may_end.set()
    seen: list[dict[str, Any]] = []
    app = noting(create_app(sample.sample_settings(tmp_path), sample.schema), seen)
    async with serve(app) as running:
        wire = Wire(*await asyncio.open_connection(*running.url.removeprefix("http://").split(":")))
        await make_known(wire, WAITING)
        again = sample.happenings = sample.Happenings()
        await wire.send(WAITING)
        await again.began.wait()
        connection = seen[-1][CONNECTION]
        ending = asyncio.create_task(until(lambda: not connection.cycle.keep_alive))
        ending.add_done_callback(lambda _task: again.may_end.set())
    assert ending.done()
    answer = await wire.reader.read()
    wire.writer.close()
    assert b"\r\nconnection: close\r\n" in answer
    assert answer.endswith(b'{"data":{"wait":"done"}}')


async def test_every_request_is_logged_and_counted(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    app = create_app(settings.model_copy(update={"environment": Environment.PRODUCTION}), sample.schema)
    async with serve(app) as running, connected(running.url) as wire:
        capsys.readouterr()
        for _ in range(5):
            await wire.ask(REQUEST)
        assert capsys.readouterr().out.count('"outcome":"ok"') == 5
        async with httpx.AsyncClient(base_url=running.url) as client:
            metrics = (await client.get("/metrics")).text
    assert 'tasktalk_http_requests_total{method="POST",path="/graphql",status="200"} 5.0' in metrics
    assert 'tasktalk_graphql_operations_total{name="anonymous",outcome="ok"} 5.0' in metrics
