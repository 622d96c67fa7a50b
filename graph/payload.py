"""Payloads of mutations: the changed row, and expected failures as data."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import strawberry
from graphql import GraphQLFieldResolver, GraphQLSchema, get_named_type
from strawberry.schema.schema_converter import GraphQLCoreConverter

from core.errors import ConflictError, ErrorReason, ForbiddenError, RateLimitedError, TasktalkError
from graph.context import Info
from graph.mapping import CreateInput, RefInput, UpdateInput, enum_type
from graph.relations import viewer
from models.columns import DescribedEnum
from services.accounts.caller import require_may_write
from services.entities.service import EntityService

Payload = TypeVar("Payload")

# Fields of Mutation that callers may use whose address is not verified.
_OPEN_TO_UNVERIFIED: Final = frozenset(
    {
        *("signUp", "signIn", "refreshSession", "signOut", "revokeSession", "deleteAccount"),
        *("requestEmailVerification", "verifyEmail", "requestPasswordReset", "resetPassword", "changeEmail"),
    }
)


class ErrorCode(DescribedEnum):
    """Why a mutation did nothing."""

    BAD_USER_INPUT = "BAD_USER_INPUT", "What was sent cannot be accepted."
    UNAUTHENTICATED = "UNAUTHENTICATED", "The sign-in is wrong or over."
    FORBIDDEN = "FORBIDDEN", "The caller may not do this."
    NOT_FOUND = "NOT_FOUND", "There is no such thing for the caller."
    CONFLICT = "CONFLICT", "It contradicts how things stand."
    RATE_LIMITED = "RATE_LIMITED", "There were too many attempts."
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED", "There would be more of a kind than a user may have."
    TIMEOUT = "TIMEOUT", "The operation had no time left to begin with it."


_REASONS: Final = {
    ErrorReason.STALE_REVISION: "The row has changed since the expected revision; the payload has it as it stands.",
    ErrorReason.ID_TAKEN: "The id that was given for a new row is in use.",
    ErrorReason.KEY_REUSED: "The idempotency key was used for another request.",
    ErrorReason.EMAIL_TAKEN: "There is an account with the email address.",
    ErrorReason.PENDING_APPROVAL: "A run waits for the person's approval.",
    ErrorReason.RUN_ACTIVE: "A run is at work, or as many as there may be.",
    ErrorReason.RUN_ENDED: "The run has ended, or the tool call was decided on, already.",
    ErrorReason.NOT_UNDOABLE: "The run was undone already, or what it changed is not known any more.",
}
enum_type(ErrorCode)
enum_type(ErrorReason, _REASONS.__getitem__)


@strawberry.type(description="A failure that the caller can do something about.")
class UserError:
    code: ErrorCode = strawberry.field(description="What kind of failure it is.")
    message: str = strawberry.field(description="What went wrong and how to mend it, for people.")
    path: list[str] | None = strawberry.field(
        default=None, description="Which part of the arguments it is about, such as input, tags, 0."
    )
    reason: ErrorReason | None = strawberry.field(default=None, description="Of a CONFLICT, which one it is.")
    retry_at: datetime | None = strawberry.field(default=None, description="When to try again, where that is known.")


@strawberry.type(description="That it was done.")
class EmptyPayload:
    errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was not.")


@strawberry.type(description="What was deleted.")
class DeletePayload:
    deleted_ids: list[strawberry.ID] = strawberry.field(
        default_factory=list,
        description="Everything that is gone, what was named first; of a conversation with more than 1,000 messages "
        "only its own id, for changes names the messages as they are removed.",
    )
    errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing was deleted.")
    viewer = viewer()


async def answer(
    payload: Callable[..., Payload],
    name: str,
    attempt: Awaitable[Any],
    fields_of: Callable[[Any], Mapping[str, Any]] | None = None,
) -> Payload:
    """Return the payload with the attempt's result under the name, or with its failure as data.

    Results of several fields are spread by `fields_of`; after a conflict the name has the row as it stands.
    """
    try:
        result = await attempt
    except TasktalkError as error:
        failed = payload(errors=as_data(error))
        if isinstance(error, ConflictError) and error.current is not None and payload is not DeletePayload:
            setattr(failed, name, error.current)
        return failed
    return payload(**({name: result} if fields_of is None else fields_of(result)))


def as_data(error: TasktalkError) -> list[UserError]:
    """Return an expected failure as data, one for each value that is wrong; raise any other again."""
    if error.code not in ErrorCode.__members__:
        raise error
    return [
        UserError(
            code=ErrorCode(each.code),
            message=each.message,
            path=list(each.path) if each.path is not None else None,
            reason=each.reason if isinstance(each, ConflictError) else None,
            retry_at=each.retry_at if isinstance(each, RateLimitedError) else None,
        )
        for each in error.errors
    ]


async def create_row(
    info: Info, payload: Callable[..., Payload], service: EntityService[Any], input: CreateInput
) -> Payload:
    """Create a row of the caller's and return its payload."""
    work = partial(service.create_alone, new=input.to_new())
    return await answer(payload, service.name, info.context.create(work))


async def update_row(
    info: Info, payload: Callable[..., Payload], service: EntityService[Any], input: UpdateInput
) -> Payload:
    """Update a row of the caller's and return its payload."""
    changes, expected = input.to_changes(), input.expected_revision
    work = partial(service.update, row_id=input.id, changes=changes, expected_revision=expected)
    return await answer(payload, service.name, info.context.write(work))


async def delete_row(info: Info, service: EntityService[Any], input: RefInput) -> DeletePayload:
    """Delete a row of the caller's and return the ids of all that is gone."""
    work = partial(service.delete, row_id=input.id, expected_revision=input.expected_revision)
    return await answer(DeletePayload, "deleted_ids", info.context.write(work))


def guard_mutations(schema: GraphQLSchema) -> None:
    """Let each field of Mutation begin only for callers who may write, and while its operation has time left."""
    for name, field in schema.mutation_type.fields.items() if schema.mutation_type else ():
        definition = get_named_type(field.type).extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
        if field.resolve is not None:
            is_open = name in _OPEN_TO_UNVERIFIED
            field.resolve = _GuardedResolver(field.resolve, definition.origin, is_open_to_unverified=is_open)


class _GuardedResolver(NamedTuple):
    """Resolver of a field of Mutation; where it may not begin, gives a payload that says so and keeps what was done."""

    resolve: GraphQLFieldResolver
    payload: Callable[..., Any]
    is_open_to_unverified: bool

    def __call__(self, source: Any, info: Any, **arguments: Any) -> Any:
        if not info.context.has_time:
            message = "The fields before took all the time that there is; send this one again by itself."
            return self.payload(errors=[UserError(code=ErrorCode.TIMEOUT, message=message)])
        try:
            if not self.is_open_to_unverified:
                require_may_write(info.context.caller)
        except ForbiddenError as error:
            return self.payload(errors=as_data(error))
        return self.resolve(source, info, **arguments)
