"""Documents that differ in literals share a plan: results and errors are to the byte those of the document itself."""

from collections.abc import Sequence
from typing import Any, Final

import pytest
from graphql import GraphQLError, build_schema, parse, specified_rules, validate
from hypothesis import given
from hypothesis import strategies as st

from engine import Plan
from server.graphql.literals import SplitDocument, Template, make_template, split_literals

SCHEMA: Final = build_schema(
    """
    scalar Day
    enum Colour { RED }
    input In { text: String, number: Int, more: In, many: [In!], required: Float! = 1 }
    type Query {
        echo(text: String, number: Int, float: Float, id: ID, ids: [ID!], matrix: [[Int]], day: Day, input: In): String
        fail(text: String!): Int!
        inner(first: Int = 3): Query
    }
    """
)


def _parse_day(value: Any) -> str:
    if value not in {"monday", "sunday", 7}:
        raise GraphQLError(f"{value!r} is no day.")
    return f"day {value}"


def _fail(_source: Any, _info: Any, text: str) -> None:
    raise ValueError(text)


SCHEMA.type_map["Day"].parse_value = _parse_day  # type: ignore[attr-defined]
FIELDS: Final = SCHEMA.type_map["Query"].fields  # type: ignore[attr-defined]
FIELDS["echo"].resolve = lambda _source, _info, **arguments: repr(sorted(arguments.items()))
FIELDS["fail"].resolve = _fail
FIELDS["inner"].resolve = lambda _source, _info, first: {"first": first}

# Each place takes a literal.
SPREAD: Final = """{ echo(input: {text: %s, more: {number: %s, required: %s}, many: {text: %s}}) ...F }
    fragment F on Query { fail(text: %s) }"""
SKELETONS: Final = [
    "{ echo(text: %s) }",
    "{ echo(number: %s, float: %s, id: %s) }",
    "{ echo(ids: %s) more: echo(ids: [%s, %s], matrix: [[%s], %s]) }",
    'query A($float: Float = 2) {\n inner(first: %s) { echo(text: %s, float: $float) # "note" 1\n fail(text: %s) } }',
    SPREAD,
    '{ echo(day: %s) a: inner { fail(text: %s) } c: inner { fail(text: "fixed") } }',
    "{ a: echo(text: %s) a: echo(text: %s) }",
    "query ($float: Float = %s) { echo(float: $float, text: %s) }",
    "{ echo(text: %s) } query Other { echo(text: %s) }",
    "{ echo(text: RED, number: %s) }",
]
QUOTED: Final = st.text(st.characters(exclude_characters='"\\\n\r', exclude_categories=["Cs"]), max_size=8)
PLAIN_TEXTS: Final = QUOTED.filter(lambda text: "\0" not in text).map('"{}"'.format)
TEXTS: Final = QUOTED.map('"{}"'.format) | st.sampled_from(
    ["", "a", "monday", 'ü \\u00e9 \\n \\"', "# no comment", '""block\n  "two"\n""', '""""', "\\x", "tab\t", "%"]
).map('"{}"'.format)
NUMBERS: Final = st.sampled_from(
    ["0", "-0", "7", "2147483647", "2147483648", "-2147483649", "1.5", "1e3", "1e999", "007", "1.", "9" * 30]
)
VALUES: Final = TEXTS | NUMBERS | st.integers(-1000, 1000).map(str)


async def run(document: Any, variables: dict[str, Any]) -> dict[str, Any]:
    result = await Plan(SCHEMA, document, None).execute(None, None, variables, hide_suggestions=False)
    return {"data": result.data, "errors": [error.formatted for error in result.errors or ()]}


async def plain(text: str) -> Any:
    """Return what a document gives by itself."""
    try:
        document = parse(text)
    except GraphQLError as error:
        return [error.formatted]
    if errors := validate(SCHEMA, document, specified_rules):
        return [error.formatted for error in errors]
    if len([each for each in document.definitions if each.kind == "operation_definition"]) > 1:
        return "several"
    return await run(document, {})


def template_of(text: str, split: SplitDocument) -> Template | None:
    try:
        document = parse(text)
    except GraphQLError:
        return None
    return None if validate(SCHEMA, document, specified_rules) else make_template(SCHEMA, document, split.literals)


async def by_template(template: Template, text: str, split: SplitDocument) -> Any:
    """Return what a document gives by the template of another; the plain way where the template says nothing."""
    bound = template.bind(text, split.literals)
    if bound is None:
        return await plain(text)
    plan = Plan(SCHEMA, template.document, None)
    result = await plan.execute(None, None, {**bound.variables}, hide_suggestions=False)
    return {"data": result.data, "errors": [bound.relocate(error).formatted for error in result.errors or ()]}


@given(
    skeleton=st.sampled_from(SKELETONS),
    first=st.lists(VALUES, min_size=5, max_size=5),
    second=st.lists(VALUES, min_size=5, max_size=5),
)
async def test_result_is_that_of_the_document_itself(
    skeleton: str, first: Sequence[str], second: Sequence[str]
) -> None:
    count = skeleton.count("%s")
    texts = [skeleton % tuple(values[:count]) for values in (first, second)]
    splits = [split_literals(text) for text in texts]
    if splits[0] is None or splits[1] is None or splits[0].key != splits[1].key:
        return
    if (template := template_of(texts[0], splits[0])) is None:
        return
    for text, split in zip(texts, splits, strict=True):
        assert split is not None
        assert await by_template(template, text, split) == await plain(text)


@given(
    first=st.lists(PLAIN_TEXTS, min_size=3, max_size=3),
    second=st.lists(PLAIN_TEXTS, min_size=3, max_size=3),
    number=st.integers(0, 99),
)
async def test_templates_are_shared(first: Sequence[str], second: Sequence[str], number: int) -> None:
    """As the test above, with documents that are all valid and of one key."""
    texts = [SPREAD % (a, number, number, b, c) for a, b, c in (first, second)]
    splits = [split_literals(text) for text in texts]
    assert splits[0] is not None
    assert splits[1] is not None
    assert splits[0].key == splits[1].key
    template = template_of(texts[0], splits[0])
    assert template is not None
    assert await by_template(template, texts[1], splits[1]) == await plain(texts[1])


@pytest.mark.parametrize("text", ["{ echo }", '{ echo(text: "a\0") }', "{ echo(text: $text) }"])
def test_text_without_literals_has_no_key(text: str) -> None:
    assert split_literals(text) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{ echo(text: "a") }', '{ echo(text: "b", number: 1) }'),
        ('{ echo(text: "a") }', "{ echo(text: 1) }"),
        ("{ echo(float: 1) }", "{ echo(float: 1.0) }"),
        ('{ echo(text: "a") }', '{ echo(text: """a""") }'),
        ('{ a1: echo(text: "a") }', '{ a2: echo(text: "a") }'),
        ('{ echo(text: "a") } # 1', '{ echo(text: "a") } # 2'),
    ],
)
def test_documents_that_differ_in_more_than_literals_have_different_keys(one: str, other: str) -> None:
    splits = split_literals(one), split_literals(other)
    assert splits[0] is not None
    assert splits[1] is not None
    assert splits[0].key != splits[1].key
