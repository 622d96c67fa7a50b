"""What Strawberry makes of arguments, we make: of every type whose conversion is known ahead."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Final, Generic, TypeVar

import pytest
import strawberry
from graphql import GraphQLSchema, extend_schema, parse
from graphql.pyutils import Undefined
from graphql.utilities.coerce_input_value import coerce_input_value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strawberry.exceptions import StrawberryInputCoercionError
from strawberry.relay import GlobalID
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.arguments import InputContext, convert_argument

from engine.inputs import UnknownInputError, input_maker
from engine.strawberry_fields import converter_behind, strawberry_field
from server.schema import core_schema, schema
from tests.engine.both import outcome, same
from tests.engine.decisions import Decisions
from tests.engine.inputs import input_value

BOUNDED: Final = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
BYTES: Final = st.binary(min_size=120, max_size=120)
Value = TypeVar("Value")


@strawberry.enum
class Size(Enum):
    """How large something is."""

    SMALL = "s"
    LARGE = "l"


@strawberry.input
class Box:
    """Has a field of every kind."""

    label: str
    size: Size
    names: list[str] = strawberry.field(default_factory=lambda: ["none"])
    sizes: list[Size | None] | None = strawberry.UNSET
    due_at: datetime | None = None
    times: list[list[int]] | None = strawberry.field(default=None, name="other")
    lazy: Annotated["Box", strawberry.lazy("tests.engine.test_inputs")] | None = None
    inner: "Box | None" = strawberry.UNSET
    boxes: list["Box"] | None = None
    wide: bool | None


@strawberry.input
class Pair(Generic[Value]):
    """Is of one type or of another."""

    left: Value
    right: list[Value] | None = None


@strawberry.input(one_of=True)
class Either:
    """One of two."""

    number: int | None = strawberry.UNSET
    box: Box | None = strawberry.UNSET


@strawberry.input
class Strict:
    """Refuses some of what it is given."""

    number: int = 3

    def __post_init__(self) -> None:
        """Refuse what is negative."""
        if self.number < 0:
            raise ValueError(f"{self.number} is negative.")


@strawberry.input
class Given:
    """Knows null from nothing, by what Strawberry alone makes."""

    name: strawberry.Maybe[str | None]


@strawberry.input
class Keyed:
    """Names something by what Strawberry takes apart."""

    keys: list[GlobalID]


@strawberry.input
class Own:
    """Makes itself."""

    name: str = ""


def make_own(_type: type, value: Any, context: InputContext) -> tuple[Any, ...]:
    return "own", value, context.path


Own.__strawberry_definition__.from_input = make_own  # type: ignore[attr-defined]


@strawberry.type
class Query:
    """The root."""

    @strawberry.field
    def known(  # noqa: PLR0917 - one of every kind
        self,
        box: Box,
        boxes: list[Box | None] | None,
        pair: Pair[int],
        pairs: list[Pair[Box]],
        either: Either,
        strict: Strict,
        sizes: list[list[Size]],
        many: list[list[Strict]] | None = None,
        name: str = "",
    ) -> int:
        """Take all that is known ahead."""
        return len(locals())

    @strawberry.field
    def unknown(
        self,
        given: Given,
        keyed: list[Keyed],
        own: Own,
        key: GlobalID | None = None,
        maybe: strawberry.Maybe[int] = None,
    ) -> int:
        """Take what is left to Strawberry."""
        return len(locals())


# With a default of each.
LEAVES: Final = ((str, "x"), (int, 3), (bool, True), (Size, Size.SMALL), (datetime, strawberry.UNSET))

Argument = tuple[str, Any, Any, GraphQLCoreConverter]


def arguments_of(of: GraphQLSchema) -> Iterator[Argument]:
    """Name the arguments of all fields: their GraphQL types, Strawberry's, and what makes one of the other."""
    for type_name, type_ in of.type_map.items():
        for name, field in getattr(type_, "fields", {}).items():
            definition, converter = (
                strawberry_field(field),
                converter_behind(field) if getattr(field, "args", {}) else None,
            )
            for argument in definition.arguments if definition is not None and converter is not None else ():
                argument_name = converter.config.name_converter.from_argument(argument)  # type: ignore[union-attr]
                graphql_type = field.args[argument_name].type
                yield f"{type_name}.{name}.{argument_name}", graphql_type, argument.type, converter  # type: ignore[misc]


OURS: Final = list(arguments_of(core_schema(schema)))
OTHERS: Final = list(arguments_of(core_schema(strawberry.Schema(Query))))
KNOWN: Final = [argument for argument in [*OURS, *OTHERS] if ".unknown." not in argument[0]]


def by_strawberry(value: Any, type_: Any, converter: GraphQLCoreConverter) -> Any:
    return convert_argument(value, type_, converter.scalar_registry, converter.config, path=("name",))


def coerced(decisions: Decisions, graphql_type: Any) -> Any:
    """Return what graphql-core makes of a value; null where it refuses it."""
    with suppress(StrawberryInputCoercionError):
        value = coerce_input_value(input_value(decisions, graphql_type), graphql_type)
        return None if value is Undefined else value
    return None


def is_converted_the_same(argument: Argument, decisions: Decisions) -> None:
    _, graphql_type, type_, converter = argument
    make = input_maker(type_, converter)
    for value in (coerced(decisions, graphql_type), None, strawberry.UNSET):
        found = outcome(lambda value=value: value if value is None or value is strawberry.UNSET else make(value))  # type: ignore[misc]
        assert found == outcome(lambda value=value: by_strawberry(value, type_, converter))  # type: ignore[misc]


@pytest.mark.parametrize("argument", KNOWN, ids=lambda argument: argument[0])
@settings(BOUNDED, max_examples=60)
@given(content=BYTES)
def test_values_are_converted_as_strawberry_converts_them(argument: Argument, content: bytes) -> None:
    is_converted_the_same(argument, Decisions(content))


def make_input(decisions: Decisions, number: int, others: list[Any]) -> Any:
    annotations: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    for name in [f"a_field{index}" for index in range(1 + decisions.next(5))]:
        type_, default = decisions.choose([*LEAVES, *((other, strawberry.UNSET) for other in others)])
        wrapped = decisions.choose((type_, list[type_], list[type_ | None], list[list[type_]]))  # type: ignore[valid-type]
        annotations[name] = wrapped | None if decisions.one_in(2) else wrapped
        if annotations[name] is not wrapped and decisions.one_in(2):
            defaults[name] = decisions.choose((None, strawberry.UNSET))
        elif wrapped is type_ and default is not strawberry.UNSET and decisions.one_in(2):
            defaults[name] = default
        elif wrapped == list[type_] and decisions.one_in(2):  # type: ignore[valid-type]
            defaults[name] = strawberry.field(default_factory=list)
    return strawberry.input(type(f"In{number}", (), {"__annotations__": annotations, **defaults}))


@settings(BOUNDED, max_examples=200)
@given(BYTES, BYTES)
def test_inputs_of_every_shape(shape: bytes, content: bytes) -> None:
    decisions = Decisions(shape)
    made: list[Any] = []
    for number in range(3):
        made.append(make_input(decisions, number, made))

    def told(it: Any) -> int:
        return len(repr(it))

    told.__annotations__["it"] = made[-1] | None if decisions.one_in(2) else list[made[-1]]  # type: ignore[valid-type]
    root = strawberry.type(type("Query", (), {"told": strawberry.field(told)}))
    (argument,) = arguments_of(core_schema(strawberry.Schema(root)))
    is_converted_the_same(argument, Decisions(content))


@pytest.mark.parametrize(
    "argument", [each for each in OTHERS if ".unknown." in each[0]], ids=lambda argument: argument[0]
)
def test_what_only_strawberry_knows_is_left_to_it(argument: Argument) -> None:
    _, _, type_, converter = argument
    with pytest.raises(UnknownInputError):
        input_maker(type_, converter)


def test_a_list_that_needs_no_conversion_is_copied() -> None:
    """Or what one resolver does to a default would be seen by the next."""
    _, _, type_, converter = next(argument for argument in OTHERS if argument[0] == "Query.known.box")
    names = ["x"]
    box = input_maker(type_, converter)({"label": "x", "size": Size.SMALL, "names": names})
    assert box.names == names
    assert box.names is not names
    assert (box.wide, box.inner) == (None, strawberry.UNSET)


@strawberry.input
class Known:
    first: int = 1


@strawberry.input
class Doubled:
    first: int | None = strawberry.field(name="same", default=None)
    second: int | None = strawberry.field(name="same", default=None)


@strawberry.type
class Told:
    @strawberry.field
    def known(self, it: Known) -> str:
        return repr(it)

    @strawberry.field
    def doubled(self, it: Doubled) -> str:
        return repr(it)


@pytest.mark.parametrize("field", ["known(it: {first: 2})", "known(it: {more: 4})", "doubled(it: {same: 3})"])
async def test_schemas_that_are_not_quite_their_classes(field: str) -> None:
    told = core_schema(strawberry.Schema(Told))
    await same(extend_schema(told, parse("extend input Known { more: Int = 3 }")), f"{{ {field} }}", Told())


@strawberry.input(one_of=True)
class OneOf:
    number: int | None = strawberry.UNSET
    word: str | None = strawberry.UNSET


@strawberry.type
class Chosen:
    @strawberry.field
    def chosen(self, it: OneOf) -> str:
        return repr(it)


@pytest.mark.parametrize("it", [{}, {"number": None}, {"number": 1, "word": "one"}, {"number": 1}])
async def test_what_an_input_refuses_by_itself(it: dict[str, Any]) -> None:
    query = "query ($it: OneOf!) { chosen(it: $it) }"
    await same(core_schema(strawberry.Schema(Chosen)), query, Chosen(), variables={"it": it})
