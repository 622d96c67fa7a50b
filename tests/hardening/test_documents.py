"""Documents: what they cost is bounded before it is paid, and what was refused once is refused for nothing."""

import asyncio
import threading
from typing import Any, Final

import pytest

from engine import Plan
from server.graphql import documents
from server.graphql.documents import MAX_COMPARISONS, Documents, NewDocument
from server.graphql.limits import MAX_DOCUMENT_CHARACTERS
from server.graphql.literals import MAX_LITERALS, split_literals
from server.http.errors import RefusedError
from tests.waiting import until

FRAGMENTS: Final = (
    "".join(f"fragment F{number} on Task {{ id title ...F{number + 1} }} " for number in range(90))
    + "fragment F90 on Task { id }"
)

FIELDS: Final = ["id", "title", "description", "completed", "priority", "dueAt", "tags", "createdAt", "updatedAt"]


def many_operations(count: int) -> str:
    return " ".join(f"query Q{number} {{ tasks {{ nodes {{ ...F0 }} }} }}" for number in range(count)) + FRAGMENTS


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (" ".join(f"query Q{number} {{ __typename }}" for number in range(600)), "TOO_MANY_OPERATIONS"),
        (many_operations(40), "TOO_MANY_FIELDS"),
    ],
    ids=["600 operations", "40 that share fragments"],
)
def test_document_of_many_operations_is_refused_before_validation_and_remembered(
    found: Documents, monkeypatch: pytest.MonkeyPatch, text: str, code: str
) -> None:
    monkeypatch.setattr(documents, "validate", None)
    for _ in range(2):
        with pytest.raises(RefusedError) as refused:
            found.get(text)
        assert refused.value.errors[0]["extensions"]["code"] == code
        monkeypatch.setattr(documents, "parse", None)


def test_comparing_fragments_with_each_other_has_an_end(found: Documents) -> None:
    def document(count: int) -> str:
        fragments = (f"fragment F{number} on Task {{ {FIELDS[number % len(FIELDS)]} }}" for number in range(count))
        return f"{{ tasks {{ nodes {{ {' '.join(f'...F{number}' for number in range(count))} }} }} }}" + " ".join(
            fragments
        )

    assert found.get(document(100)).select(None).plan.is_planned
    with pytest.raises(RefusedError, match="Too many fields of one name, or fragments") as refused:
        found.get(document(300))
    assert refused.value.errors[0]["extensions"] == {"code": "TOO_MANY_FIELDS", "limit": MAX_COMPARISONS}


def test_only_the_operation_that_is_asked_for_is_planned(found: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[str | None] = []

    def plan(schema: Any, document: Any, name: str | None, on_kept: Any) -> Plan:
        planned.append(name)
        return Plan(schema, document, name, on_kept)

    monkeypatch.setattr(documents, "Plan", plan)
    text = " ".join(f"query Q{number} {{ __typename }}" for number in range(50))
    with pytest.raises(RefusedError, match="several operations"):
        found.get(text).select(None)
    assert planned == []
    assert found.get(text).select("Q7") is found.get(text).select("Q7")
    assert planned == ["Q7"]


def test_documents_that_differ_in_literals_are_one_entry_of_the_cache(
    found: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = '{{ tasks(first: {}, filter: {{search: "{}"}}) {{ nodes {{ id }} }} }}'
    first = found.get(text.format(1, "milk")).select(None)
    monkeypatch.setattr(documents, "parse", None)
    second = found.get(text.format(20, "")).select(None)
    assert second.plan is first.plan
    assert second.variables({}) == {"_literal0": 20, "_literal1": ""}
    assert [operation.cost(operation.variables({})) for operation in (first, second)] == [152, 71]
    assert len(found.cache) == 1


def test_literal_out_of_bounds_is_refused_as_by_itself(found: Documents) -> None:
    text = "{{ tasks(first: {}) {{ nodes {{ id }} }} }}"
    found.get(text.format(1))
    with pytest.raises(RefusedError, match="Int cannot represent non 32-bit signed integer value: 2147483648"):
        found.get(text.format(2**31))
    assert found.get(text.format(2)).select(None).variables({}) == {"_literal0": 2}


def test_operation_hashes_one_password(found: Documents) -> None:
    one = 'signUp(input: {email: "a@b.c", password: "a long one", name: "Ada"}) { __typename }'
    assert found.get(f"mutation {{ {one} signOut {{ __typename }} }}")
    for text in (
        f"mutation {{ a: {one} b: {one} }}",
        f"mutation {{ {one} ...F }} fragment F on Mutation {{ b: {one} }}",
    ):
        with pytest.raises(RefusedError, match="An operation may have one of changeEmail, changePassword, "):
            found.get(text)


def test_text_of_the_key_of_shared_documents_is_no_document(found: Documents) -> None:
    found.get("{ tasks(first: 1) { nodes { id } } }")
    with pytest.raises(RefusedError, match="Unexpected character"):
        found.get("{ tasks(first: \0i) { nodes { id } } }")


@pytest.mark.parametrize("part", ['\\"', '\\"""', "1 ", '"" ', "#\n", '"""', "a.", "-", "0"])
@pytest.mark.parametrize("beginning", ["", '"', '"""', "1"])
def test_literals_are_found_in_one_pass(beginning: str, part: str) -> None:
    """What reads a part again for each part before it would take minutes for one of these."""
    text = (beginning + part * MAX_DOCUMENT_CHARACTERS)[:MAX_DOCUMENT_CHARACTERS]
    split = split_literals(text)
    assert split is None or len(split.literals) <= MAX_LITERALS


async def test_thread_whose_client_is_gone_keeps_its_turn_and_its_document(
    found: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[str] = []
    may_go_on = threading.Event()
    prepare = found._prepare_or_refuse  # noqa: SLF001 - the work of the thread

    def noting(text: str, split: Any) -> Any:
        began.append(text)
        may_go_on.wait()
        return prepare(text, split)

    monkeypatch.setattr(found, "_prepare_or_refuse", noting)
    texts = ["{ __typename }", "{ again: __typename }"]
    gone, other = [asyncio.create_task(found.prepare_in_thread(NewDocument(text, None, 4))) for text in texts]
    await until(lambda: began)
    gone.cancel()
    await asyncio.wait([gone])
    # A thread that had the turn would have begun before this one.
    await asyncio.to_thread(began.copy)
    begun = began.copy()
    may_go_on.set()
    await other
    assert begun == texts[:1]
    assert await found.prepare_in_thread(NewDocument(texts[0], None, 4)) is found.get(texts[0])
    assert began == texts
