"""The table of tool calls."""

from typing import Annotated, Any

from sqlalchemy import JSON, Index
from sqlmodel import Field

from models.base import Entity, known_check
from models.columns import DescribedEnum, References
from models.types import Id, Named


class ToolCallStatus(DescribedEnum):
    """How far a tool call is."""

    AWAITING_APPROVAL = "AWAITING_APPROVAL", "It waits for the person's approval."
    RUNNING = "RUNNING", "It is being carried out."
    COMPLETED = "COMPLETED", "It was carried out."
    REJECTED = "REJECTED", "The person refused it."
    FAILED = "FAILED", "It went wrong, and changed nothing."


class ToolCall(Entity, table=True):
    """One use of a tool within a run."""

    __tablename__ = "tool_calls"

    run_id: Annotated[str, References("runs", cascades=True)] = Field(sa_type=Id)
    # The model's own name for it.
    call_id: str = Field(max_length=200)
    position: int
    name: str = Field(max_length=100, description="The tool.")
    arguments: dict[str, Any] = Field(sa_type=JSON, description="What the tool is asked for.")
    result: Any = Field(
        default=None, nullable=True, sa_type=JSON(none_as_null=True), description="What the tool answered."
    )
    status: ToolCallStatus = Field(sa_type=Named(ToolCallStatus), description="How far it is.")

    __table_args__ = (
        known_check("status", ToolCallStatus),
        Index("ix_tool_calls_run", "user_id", "run_id", "position"),
        Index("uq_tool_calls_call", "user_id", "run_id", "call_id", unique=True),
    )
