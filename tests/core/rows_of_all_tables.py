"""A row of each table: with all that a row may have, or with nothing that may be missing."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from sqlmodel import SQLModel

from core.ids import new_id
from models import (
    AccessToken,
    Conversation,
    Deletion,
    HistoryAction,
    HistoryEntry,
    IdempotencyKey,
    Message,
    MessageRole,
    Run,
    RunStatus,
    Session,
    Task,
    TaskPriority,
    TokenUsage,
    ToolCall,
    ToolCallStatus,
    User,
)

FIRST: Final = datetime.min.replace(tzinfo=UTC)
LAST: Final = datetime.max.replace(tzinfo=UTC)
WILD: Final = "\u0001 \U0001f600 e\u0301 \u202e \ufffd \"'\\ %s :id $1 ? {} \uffff"
JSON: Final = {"": None, WILD: [1.5, -(2**53), [], {"deep": {"er": True}}, WILD]}


@dataclass(frozen=True, slots=True)
class RowsOfAllTables:
    """The rows of one user, at one end of what there can be."""

    user_id: str
    is_full: bool

    def in_their_order(self) -> list[list[SQLModel]]:
        """Return all rows, each after those that it refers to."""
        talk = Conversation(title=self.text, **self.own)
        said = [Message(conversation_id=talk.id, role=role, content=self.text, **self.own) for role in MessageRole]
        run = self.run(talk, *said)
        task, *parts = self.tasks()
        return [[self.user()], [talk, task, *self.beside()], [*said, *parts], [run], [*self.calls(run)]]

    @property
    def moment(self) -> datetime:
        return LAST if self.is_full else FIRST

    @property
    def text(self) -> str:
        return WILD if self.is_full else "x"

    @property
    def own(self) -> dict[str, Any]:
        return {
            "user_id": self.user_id,
            "revision": 2**31 - 1 if self.is_full else 0,
            "created_at": self.moment,
        }

    def where_full(self, **values: Any) -> dict[str, Any]:
        return values if self.is_full else {}

    def user(self) -> User:
        given = self.where_full(image=WILD, is_admin=True, email_verified=True, password_hash=WILD, issuer=WILD)
        return User(id=self.user_id, email=self.user_id, name=self.text, created_at=self.moment, **given)

    def tasks(self) -> list[Task]:
        tags = [WILD, "", "NULL"] if self.is_full else []
        task = Task(title=self.text, words=self.text, updated_at=self.moment, tags=tags, **self.own)
        given = self.where_full(
            description=WILD, completed=True, completed_at=FIRST, priority=TaskPriority.HIGH, due_at=LAST
        )
        return [task, Task(title="x", parent_id=task.id, **self.own, **given)]

    def run(self, talk: Conversation, message: Message, reply: Message) -> Run:
        ids: dict[str, Any] = {"conversation_id": talk.id, "message_id": message.id, "reply_id": reply.id}
        given = self.where_full(
            error=WILD, state=WILD, lease_until=FIRST, finished_at=LAST, undone_at=LAST, status=RunStatus.FAILED
        )
        return Run(model=self.text, **ids, **self.own, **given)

    def calls(self, run: Run) -> list[ToolCall]:
        results: list[Any] = [None, JSON, "text", 0, False, []] if self.is_full else [None]
        given = {"run_id": run.id, "name": self.text, "status": ToolCallStatus.RUNNING, **self.own}
        return [
            ToolCall(call_id=f"{place}", position=place, arguments=JSON, result=result, **given)
            for place, result in enumerate(results)
        ]

    def beside(self) -> list[SQLModel]:
        """Return rows that nothing else is known of than whose they are."""
        user_id, moment = self.user_id, self.moment
        day, most = (date.max, 2**63 - 1) if self.is_full else (date.min, 0)
        texts, kind = [WILD] * self.is_full, HistoryAction.DELETED
        by_run = self.where_full(run_id=new_id(), tool_call_id=new_id())
        by_program = self.where_full(expires_at=LAST, last_used_at=FIRST)
        return [
            HistoryEntry(entity="TASK", row_id=new_id(), kind=kind, before=JSON, after={}, **self.own, **by_run),
            Deletion(user_id=user_id, id=new_id(), kind="TOOL_CALL", revision=0, deleted_at=moment),
            Session(user_id=user_id, token_hash="x", expires_at=moment, **self.where_full(revoked_at=FIRST)),
            AccessToken(user_id=user_id, name="x", token_hash=new_id(), scopes=texts, **by_program),
            IdempotencyKey(user_id=user_id, key=self.text, operation="x", request_hash="", result_ids=texts),
            TokenUsage(user_id=user_id, day=day, input_tokens=most, output_tokens=-most),
        ]
