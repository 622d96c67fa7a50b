"""The request bodies that are made from the descriptions of columns."""

from typing import Annotated, Any

import pytest
from pydantic import ValidationError
from sqlmodel import Field, SQLModel

from models.columns import Writable
from server.rest.entities import create_body_of
from server.rest.fields import Body


class Plan(SQLModel):
    """A model with a number."""

    minutes: Annotated[int | None, Writable()] = Field(default=None, ge=1, le=60, description="How long it takes.")


@create_body_of(Plan)
class PlanToMake(Body):
    """A plan to make."""


@pytest.mark.parametrize("sent", [60, 60.0, None])
def test_integer_is_taken_as_json_schema_describes_it(sent: Any) -> None:
    minutes = PlanToMake.model_validate({"minutes": sent}).model_dump()["minutes"]
    assert (minutes, type(minutes)) == (sent, type(sent) if sent is None else int)


@pytest.mark.parametrize("sent", [0, 61, 1.5, "60", True, 1e400])
def test_what_is_no_integer_within_the_bounds_is_refused(sent: Any) -> None:
    with pytest.raises(ValidationError):
        PlanToMake.model_validate({"minutes": sent})


def test_bounds_of_a_nullable_integer_are_described() -> None:
    integer, null = PlanToMake.model_json_schema()["properties"]["minutes"]["anyOf"]
    assert (integer, null) == ({"type": "integer", "minimum": 1, "maximum": 60}, {"type": "null"})
