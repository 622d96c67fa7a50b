"""DateTime: RFC 3339 with an offset, there and back to the microsecond."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import orjson
import pytest
from graphql import GraphQLError, GraphQLScalarType
from hypothesis import assume, given
from hypothesis import strategies as st

from server.graphql.schema import core_schema, schema
from tests.factories import SignedIn
from tests.graph_client import GraphClient

SET_DUE_AT: Final = """mutation ($dueAt: DateTime) {
    createTask(input: {title: "t", dueAt: $dueAt}) { task { id dueAt } errors { code } } }"""
DUE_AT: Final = "query ($id: ID!) { task(id: $id) { dueAt } }"
TASKS_DUE: Final = "query ($at: DateTime) { tasks(filter: {dueAt: {gte: $at, lte: $at}}) { nodes { dueAt } } }"

ACCEPTED: Final = [
    line.split(" -> ")
    for line in """\
2026-01-31T09:00:00Z -> 2026-01-31T09:00:00+00:00
2026-01-31t09:00:00z -> 2026-01-31T09:00:00+00:00
2026-01-31 09:00:00Z -> 2026-01-31T09:00:00+00:00
2026-01-31T09:00:00-00:00 -> 2026-01-31T09:00:00+00:00
2026-01-31T09:00:00+05:30 -> 2026-01-31T03:30:00+00:00
2026-01-31T09:00:00-08:00 -> 2026-01-31T17:00:00+00:00
2026-01-31T09:00:00+23:59 -> 2026-01-30T09:01:00+00:00
2026-01-31T09:00:00.5Z -> 2026-01-31T09:00:00.500000+00:00
2026-01-31T09:00:00.000001Z -> 2026-01-31T09:00:00.000001+00:00
2026-01-31T09:00:00.123456789Z -> 2026-01-31T09:00:00.123456+00:00
2024-02-29T23:59:59Z -> 2024-02-29T23:59:59+00:00
0001-01-01T00:00:00Z -> 0001-01-01T00:00:00+00:00
0001-01-01T00:00:00-23:59 -> 0001-01-01T23:59:00+00:00
0001-01-01T01:00:00+01:00 -> 0001-01-01T00:00:00+00:00
9999-12-31T23:59:59.999999Z -> 9999-12-31T23:59:59.999999+00:00
9999-12-31T23:59:59+23:59 -> 9999-12-31T00:00:59+00:00""".splitlines()
]
# Of another form, of no such day or time, of a wrong offset, out of range, of another type.
REFUSED: Final[list[Any]] = [
    *("", "now", "2026-01-31", "2026-01-31T09:00:00", "2026-01-31T09:00:00.123456", "2026-01-31T09:00Z"),
    *("2026-01-31T09Z", "20260131T090000Z", "2026-W05-6T09:00:00Z", "2026-031T09:00:00Z", "26-01-31T09:00:00Z"),
    *("2026-1-31T09:00:00Z", "2026-01-31T09:00:00,5Z", "2026-01-31T09:00:00.Z", "2026-01-31T09:00:00ZZ"),
    *(" 2026-01-31T09:00:00Z", "2026-01-31T09:00:00Z\n", "٢٠٢٦-01-31T09:00:00Z", "\0", "2026-01-31T09:00:00Z\0"),
    *("2026-02-30T09:00:00Z", "2025-02-29T09:00:00Z", "2026-13-01T09:00:00Z", "2026-00-01T09:00:00Z"),
    *("2026-01-31T24:00:00Z", "2026-01-31T25:00:00Z", "2026-01-31T09:60:00Z", "2016-12-31T23:59:60Z"),
    *("2026-01-31T09:00:61Z", "2026-01-31T09:00:00+0100", "2026-01-31T09:00:00+01", "2026-01-31T09:00:00+01:00:30"),
    *("2026-01-31T09:00:00+24:00", "2026-01-31T09:00:00+12:60", "2026-01-31T09:00:00+99:99"),
    *("2026-01-31T09:00:00 +01:00", "2026-01-31T09:00:00\N{MINUS SIGN}01:00", "-2026-01-31T09:00:00Z"),
    *("0000-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "10000-01-01T00:00:00Z"),
    *("9" * 100_000, 0, 1769850000, 1769850000.5, True, [], ["2026-01-31T09:00:00Z"], {}),
]


def test_moment_is_read_as_utc_and_anything_else_is_refused() -> None:
    for sent, kept in ACCEPTED:
        assert _scalar().coerce_input_value(sent).isoformat() == kept
    for refused in REFUSED:
        with pytest.raises(GraphQLError) as error:
            _scalar().coerce_input_value(refused)
        assert len(error.value.message) < 400


async def test_moment_is_stored_filtered_and_refused_over_http(client: GraphClient, user: SignedIn) -> None:
    for sent, kept in ACCEPTED[:: len(ACCEPTED) - 1]:
        payload = (await client.query(SET_DUE_AT, {"dueAt": sent}, as_=user))["createTask"]
        assert payload["task"]["dueAt"] == kept
        assert await client.query(DUE_AT, {"id": payload["task"]["id"]}, as_=user) == {"task": {"dueAt": kept}}
        assert await client.query(TASKS_DUE, {"at": sent}, as_=user) == {"tasks": {"nodes": [{"dueAt": kept}]}}
    refused_values: list[Any] = ["2026-01-31T09:00:00", "9" * 100_000, 0, []]
    for refused in refused_values:
        answer = await client.execute(SET_DUE_AT, {"dueAt": refused}, as_=user)
        assert (answer.status, answer.data, answer.codes) == (400, None, ["BAD_USER_INPUT"])
        assert len(answer.errors[0]["message"]) < 400
    assert (await client.query("{ tasks { totalCount } }", as_=user))["tasks"]["totalCount"] == 2


async def test_literal_that_is_no_moment_is_refused(client: GraphClient, user: SignedIn) -> None:
    for literal in ("1769850000", "true", "{at: 1}", "NOW", '"2026-01-31"', '["2026-01-31T09:00:00Z"]'):
        answer = await client.execute(f"{{ tasks(filter: {{dueAt: {{gt: {literal}}}}}) {{ totalCount }} }}", as_=user)
        assert (answer.status, answer.data, answer.codes) == (400, None, ["GRAPHQL_VALIDATION_FAILED"])


def _scalar() -> GraphQLScalarType:
    scalar = core_schema(schema).type_map["DateTime"]
    assert isinstance(scalar, GraphQLScalarType)
    return scalar


@given(
    st.datetimes(), st.integers(-(23 * 60 + 59), 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
)
def test_moment_survives_the_scalar(moment: datetime, offset: timezone) -> None:
    moment = moment.replace(tzinfo=offset)
    try:
        in_utc = moment.astimezone(UTC)
    except OverflowError:
        assume(False)
        raise
    read = _scalar().coerce_input_value(moment.isoformat())
    assert (read, read.tzinfo) == (in_utc, UTC)
    written = orjson.loads(orjson.dumps(_scalar().coerce_output_value(read)))
    assert written == in_utc.isoformat()
    assert datetime.fromisoformat(written) == moment


@given(
    st.text(alphabet="0123456789-:.+TtZz ", max_size=40)
    | st.from_regex(r"\A\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)\Z")
    | st.text()
)
def test_any_text_is_a_moment_or_refused(text: str) -> None:
    try:
        read = _scalar().coerce_input_value(text)
    except GraphQLError:
        return
    assert isinstance(read, datetime)
    assert read.tzinfo is UTC
