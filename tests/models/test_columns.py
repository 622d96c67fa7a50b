"""What a field of a model says of its column, and the errors at import time that name a column described wrongly."""

from datetime import datetime
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from pydantic import StringConstraints
from sqlalchemy import CheckConstraint, ForeignKeyConstraint, MetaData
from sqlmodel import Field, SQLModel

from core.clock import utc_now
from core.errors import BadUserInputError
from core.ids import new_id
from models import ENTITIES, Task, TaskPriority
from models.base import Editable, complete_table
from models.columns import (
    Column,
    DescribedEnum,
    Filterable,
    Kind,
    Recorded,
    References,
    Sortable,
    Writable,
    columns_of,
    creatable_columns,
    public_columns,
    recorded_columns,
    updatable_columns,
)
from models.types import Ranked
from services.accounts.caller import Caller
from services.entities.lists import EntityFilter, EntityOrder, entity_listing
from services.entities.values import check_new_values, check_values

Short = Annotated[str, StringConstraints(max_length=5)]


def column_of(annotation: Any, **field: Any) -> Column:
    namespace = {"__annotations__": {"estimate": annotation}, "estimate": Field(**field), "__module__": __name__}
    return columns_of(type("Plan", (SQLModel,), namespace))["estimate"]


def test_kind_follows_from_the_annotation() -> None:
    for annotation, kind, element, is_nullable in (
        (str, Kind.TEXT, str, False),
        (str | None, Kind.TEXT, str, True),
        (int | None, Kind.INTEGER, int, True),
        (bool, Kind.BOOLEAN, bool, False),
        (datetime | None, Kind.MOMENT, datetime, True),
        (TaskPriority, Kind.ENUM, TaskPriority, False),
        (list[str], Kind.TEXTS, str, False),
        (list[Short], Kind.TEXTS, str, False),
        (Annotated[str | None, References("tasks")], Kind.REFERENCE, str, True),
        (Annotated[str, References("tasks", cascades=True)], Kind.REFERENCE, str, False),
        (list[int], Kind.JSON, object, False),
        (dict[str, Any], Kind.JSON, object, False),
        (int | str, Kind.JSON, object, False),
    ):
        column = column_of(annotation)
        assert (column.kind, column.type, column.is_nullable) == (kind, element, is_nullable)


def test_bounds_are_part_of_the_description_of_inputs() -> None:
    for annotation, field, bounds in (
        (str, {"min_length": 1, "max_length": 500}, "1 to 500 characters"),
        (str, {"max_length": 10_000}, "up to 10,000 characters"),
        (int, {"ge": -5, "le": 6_000}, "-5 to 6,000"),
        (list[Short], {"max_length": 20}, "up to 20, of up to 5 characters each"),
        (bool, {}, ""),
    ):
        column = column_of(annotation, description="How long.", **field)
        assert column.bounds == bounds
        assert column.input_description == (f"How long; {bounds}." if bounds else "How long.")


def test_wrong_description_raises_error_naming_the_column() -> None:
    cases: list[tuple[Any, dict[str, Any], str]] = [
        (int, {"ge": 0, "le": 9}, "is Writable but has no description"),
        (int, {"description": "x", "le": 9}, "is Writable but has no lower bound"),
        (int, {"description": "x", "ge": 0}, "is Writable but has no upper bound"),
        *((kind, {"description": "x"}, "is Writable but has no upper bound") for kind in (str, list[str])),
        (list[str], {"description": "x", "max_length": 9}, "is Writable but has elements without an upper bound"),
        (dict[str, Any], {"description": "x"}, "is Writable but is of a type that clients cannot set"),
        (Annotated[str, References("tasks")], {}, "refers to a row whose deletion clears it"),
    ]
    for annotation, field, problem in cases:
        with pytest.raises(TypeError, match=rf"^Plan\.estimate {problem}"):
            column_of(Annotated[annotation, Writable()], **field)


def test_column_without_filter_or_order_of_its_kind_raises_error_that_names_it() -> None:
    class Filtered(SQLModel):
        data: Annotated[dict[str, Any], Filterable()]

    class Sorted(SQLModel):
        __tablename__ = "sorted"
        labels: Annotated[list[str], Sortable()]

    with pytest.raises(TypeError, match=r"^Filtered\.data is Filterable, but there is no filter for JSON$"):
        type("Filter", (EntityFilter,), {}, model=Filtered)
    with pytest.raises(TypeError, match=r"^Sorted\.labels is Sortable, but there is no order for list of texts$"):
        type("Order", (EntityOrder,), {}, model=Sorted)


def test_cursor_reads_what_its_column_can_hold_and_nothing_else() -> None:
    class Rating(Editable, table=True):
        __tablename__ = "ratings"
        metadata = MetaData()

        stars: Annotated[int, Sortable()]
        mood: Annotated[TaskPriority | None, Sortable()] = Field(default=None, sa_type=Ranked(TaskPriority))

    by: type[EntityOrder] = type("RatingOrder", (EntityOrder,), {}, model=Rating)
    caller = Caller(new_id(), None, is_admin=False, expires_at=utc_now())
    order = entity_listing(caller, None, by.by("stars")).order
    for stars in (-(2**31), 2**31 - 1):
        row = SimpleNamespace(stars=stars, id=new_id())
        assert order.read_cursor(order.cursor(row), "after") == (stars, row.id)
    for stars in (-(2**31) - 1, 2**31, 2**63, True):
        with pytest.raises(BadUserInputError, match=r"^after is not a cursor of this list"):
            order.read_cursor(order.cursor(SimpleNamespace(stars=stars, id=new_id())), "after")
    order = entity_listing(caller, None, by.by("mood")).order
    for mood in (None, TaskPriority.LOW):
        row = SimpleNamespace(mood=mood, id=new_id())
        assert order.read_cursor(order.cursor(row), "after") == (mood, row.id)


class Marked(SQLModel):
    given: Annotated[str | None, Writable()] = Field(default=None, max_length=9, description="Set at any time.")
    needed: Annotated[str, Writable()] = Field(max_length=9, description="Set at any time, and never missing.")
    later: Annotated[bool, Writable(create=False)] = Field(default=False, description="Set by updates alone.")
    once: Annotated[bool, Writable(update=False)] = Field(default=False, description="Set by creation alone.")
    kept: Annotated[int, Recorded()] = Field(default=0, description="Recorded, and set by nobody.")
    shown: int = Field(default=0, description="Shown, and set by nobody.")
    hidden: int = 0


def test_markers_choose_who_sets_and_records_a_column() -> None:
    for columns, names in (
        (creatable_columns, ["needed", "given", "once"]),
        (updatable_columns, ["given", "needed", "later"]),
        (recorded_columns, ["given", "needed", "later", "once", "kept"]),
        (public_columns, ["given", "needed", "later", "once", "kept", "shown"]),
    ):
        assert [column.name for column in columns(Marked)] == names


def test_completion_of_a_task_is_set_by_updates_alone_and_its_moment_by_nobody() -> None:
    creatable, updatable, recorded, public = (
        {column.name for column in columns(Task)}
        for columns in (creatable_columns, updatable_columns, recorded_columns, public_columns)
    )
    assert (updatable - creatable, recorded - updatable) == ({"completed"}, {"completed_at"})
    assert columns_of(Task).keys() - public == {"id", "user_id", "words"}


@pytest.mark.parametrize("model", ENTITIES)
def test_each_public_column_of_an_entity_is_described_by_a_sentence(model: type[SQLModel]) -> None:
    for column in public_columns(model):
        assert column.description.endswith("."), column.name


def test_described_enum_is_its_value() -> None:
    class Size(DescribedEnum):
        SMALL = "SMALL", "It is small."
        LARGE = "LARGE"

    assert (Size.SMALL, Size("SMALL").description, Size.LARGE.description) == ("SMALL", "It is small.", "")


class Estimate(Editable):
    minutes: Annotated[int | None, Writable(), Filterable(), Sortable()] = Field(
        default=None, ge=1, le=6_000, description="How long it takes."
    )
    note: Annotated[str, Writable()] = Field(default="", max_length=5, description="More about it.")
    labels: Annotated[list[Short], Writable()] = Field(default_factory=list, max_length=3, description="Labels.")
    is_rough: Annotated[bool, Writable()] = Field(default=True, description="Whether it is a guess.")


def test_values_are_kept_as_given_or_in_their_plain_form() -> None:
    for given, kept in (
        ({"minutes": 1}, {"minutes": 1}),
        ({"minutes": None}, {"minutes": None}),
        ({"labels": None}, {"labels": []}),
        ({"labels": ["b", " a ", "b"]}, {"labels": ["b", "a"]}),
        ({"note": " x "}, {"note": " x "}),
        ({}, {}),
    ):
        assert check_values(Estimate, given) == kept
        defaults: dict[str, Any] = {"minutes": None, "note": "", "labels": [], "is_rough": True}
        assert check_new_values(Estimate, given) == defaults | kept


def test_value_beyond_its_bounds_is_refused() -> None:
    for given, path, message in (
        ({"minutes": 0}, ("minutes",), "minutes must be 1 to 6,000; it is 0."),
        ({"minutes": 6_001}, ("minutes",), "minutes must be 1 to 6,000; it is 6001."),
        ({"is_rough": None}, ("isRough",), "isRough cannot be cleared; leave it out to keep it as it is."),
        ({"note": "123456"}, ("note",), None),
        ({"labels": ["a", "b", "c", "d"]}, ("labels",), "A estimate has at most 3 labels; these are 4."),
        ({"labels": ["a", "123456"]}, ("labels", "1"), None),
    ):
        with pytest.raises(BadUserInputError) as refusal:
            check_values(Estimate, given, ("input", "0"))
        assert refusal.value.path == ("input", "0", *path)
        assert message in {None, refusal.value.message}


def test_table_gets_checks_indexes_and_references_from_its_columns() -> None:
    class Review(Editable, table=True):
        __tablename__ = "reviews"
        metadata = MetaData()

        stars: Annotated[int, Writable(), Sortable()] = Field(ge=1, le=5, description="How good.")
        due_at: Annotated[datetime | None, Sortable()] = Field(default=None)
        task_id: Annotated[str | None, Writable(), References("tasks")] = Field(default=None, description="Of what.")
        owner_id: Annotated[str | None, References("tasks", cascades=True)] = Field(default=None)

    complete_table(Review)
    table = Review.__table__  # type: ignore[attr-defined]
    checks = {str(each.sqltext) for each in table.constraints if isinstance(each, CheckConstraint)}
    assert checks == {"stars BETWEEN 1 AND 5"}
    indexes = ("revision", "stars", "due_at", "due_at_desc", "created_at", "updated_at")
    assert {index.name for index in table.indexes} == {f"ix_reviews_{name}" for name in indexes}
    keys = [each for each in table.constraints if isinstance(each, ForeignKeyConstraint) and len(each.columns) > 1]
    assert {(key.name, key.column_keys[1], key.ondelete) for key in keys} == {
        ("fk_reviews_of_task_id", "task_id", None),
        ("fk_reviews_of_owner_id", "owner_id", "CASCADE"),
    }
