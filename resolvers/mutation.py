"""The fields of Mutation."""

from collections.abc import Awaitable
from dataclasses import fields
from functools import partial
from typing import Any, Final

import strawberry

from graph.context import Info
from graph.conversation import (
    ConversationPayload,
    ConversationRefInput,
    CreateConversationInput,
    UpdateConversationInput,
)
from graph.mapping import given
from graph.message import AddMessageInput, MessagePayload
from graph.payload import DeletePayload, EmptyPayload, answer, create_row, delete_row, update_row
from graph.run import (
    RegenerateReplyInput,
    ResolveToolCallInput,
    RunPayload,
    RunRefInput,
    SendMessageInput,
    SendMessagePayload,
    answer_started_run,
)
from graph.task import (
    CreateTaskInput,
    CreateTasksInput,
    DeleteTasksInput,
    SetTasksCompletedInput,
    TaskPayload,
    TaskRefInput,
    TasksPayload,
    UndoRunPayload,
    UpdateTaskInput,
)
from graph.user import (
    AuthPayload,
    ChangeEmailInput,
    ChangePasswordInput,
    CreateAccessTokenInput,
    CreateAccessTokenPayload,
    DeleteAccountInput,
    DeleteUserInput,
    EmailInput,
    RefreshSessionInput,
    ResetPasswordInput,
    RevokeAccessTokenInput,
    SessionRefInput,
    SetUserActiveInput,
    SignInInput,
    SignOutPayload,
    SignUpInput,
    TokenInput,
    UpdateProfileInput,
    UserPayload,
)
from services.accounts import access_tokens, users
from services.accounts.access_tokens import CreatedAccessToken, NewAccessToken
from services.accounts.accounts import SessionTokens
from services.conversations.conversations import conversations
from services.conversations.messages import NewMessage, add_message
from services.runs.run import UserMessage
from services.tasks.tasks import tasks
from services.tasks.undo import undo_run

# Whoever begins a session is answered whatever token comes along, which may be one that is over.
OPEN_FIELDS: Final = frozenset(
    {"signUp", "signIn", "refreshSession", "verifyEmail", "requestPasswordReset", "resetPassword"}
)


@strawberry.type(description="Changes, one after another in the order that they are written in.")
class Mutation:
    @strawberry.mutation(
        description="Make an account and sign its user in; where addresses must be verified, send an e-mail instead."
    )
    async def sign_up(self, info: Info, input: SignUpInput) -> AuthPayload:
        return await _tokens(info, info.context.runtime.accounts.sign_up(**vars(input), client=info.context.client))

    @strawberry.mutation(description="Begin a session.")
    async def sign_in(self, info: Info, input: SignInInput) -> AuthPayload:
        client = info.context.client
        return await _tokens(info, info.context.runtime.accounts.sign_in(**vars(input), client=client))

    @strawberry.mutation(
        description="Exchange a refresh token for new tokens; one that comes again later ends its session."
    )
    async def refresh_session(self, info: Info, input: RefreshSessionInput) -> AuthPayload:
        return await _tokens(info, info.context.refresh_session(input.refresh_token))

    @strawberry.mutation(description="End the caller's session; its tokens are refused from now on.")
    async def sign_out(self, info: Info) -> SignOutPayload:
        info.context.require_caller()
        return await answer(SignOutPayload, "", info.context.sign_out(), lambda _: {})

    @strawberry.mutation(description="End a session of the caller's; its tokens are refused from now on.")
    async def revoke_session(self, info: Info, input: SessionRefInput) -> DeletePayload:
        caller, client = info.context.require_caller(), info.context.client
        revoking = info.context.runtime.accounts.revoke_session(caller, input.id, client)
        return await answer(DeletePayload, "deleted_ids", revoking)

    @strawberry.mutation(description="Change the caller's profile: what is left out stays, null clears.")
    async def update_profile(self, info: Info, input: UpdateProfileInput) -> UserPayload:
        work = partial(users.update_profile, changes=given(input))
        return await answer(UserPayload, "user", info.context.write(work))

    @strawberry.mutation(description="Change the caller's password; every other session of theirs ends.")
    async def change_password(self, info: Info, input: ChangePasswordInput) -> UserPayload:
        caller, client = info.context.require_caller(), info.context.client
        changed = info.context.runtime.accounts.change_password(caller, **vars(input), client=client)
        return await answer(UserPayload, "user", changed)

    @strawberry.mutation(description="Send the caller an e-mail with a link that verifies their address.")
    async def request_email_verification(self, info: Info) -> EmptyPayload:
        caller, emails = info.context.require_caller(), info.context.runtime.emails
        return await _done(emails.request_verification(caller, info.context.client))

    @strawberry.mutation(
        description="Verify the address that a link was sent to; after changeEmail it is the account's from now on."
    )
    async def verify_email(self, info: Info, input: TokenInput) -> UserPayload:
        verifying = info.context.runtime.emails.verify(input.token, info.context.client)
        return await answer(UserPayload, "user", info.context.changing(verifying))

    @strawberry.mutation(
        description="Send an e-mail with a link that sets a new password; the same answer comes without an account."
    )
    async def request_password_reset(self, info: Info, input: EmailInput) -> EmptyPayload:
        return await _done(info.context.runtime.emails.request_password_reset(input.email, info.context.client))

    @strawberry.mutation(description="Set a new password by the link of an e-mail; all sessions end.")
    async def reset_password(self, info: Info, input: ResetPasswordInput) -> EmptyPayload:
        return await _done(info.context.runtime.emails.reset_password(**vars(input), client=info.context.client))

    @strawberry.mutation(
        description="Send a link to a new address, which verifyEmail makes the account's; the old one is told then."
    )
    async def change_email(self, info: Info, input: ChangeEmailInput) -> EmptyPayload:
        caller, emails = info.context.require_caller(), info.context.runtime.emails
        return await _done(emails.change_email(caller, **vars(input), client=info.context.client))

    @strawberry.mutation(description="Delete the caller's account and everything in it.")
    async def delete_account(self, info: Info, input: DeleteAccountInput) -> DeletePayload:
        caller, client = info.context.require_caller(), info.context.client
        deleted = info.context.runtime.accounts.delete_account(caller, **vars(input), client=client)
        return await answer(DeletePayload, "deleted_ids", deleted)

    @strawberry.mutation(description="Let a user in or shut them out, at once; for admins.")
    async def set_user_active(self, info: Info, input: SetUserActiveInput) -> UserPayload:
        changed = info.context.runtime.accounts.set_user_active(
            info.context.require_caller(), input.id, info.context.client, is_active=input.is_active
        )
        return await answer(UserPayload, "user", changed)

    @strawberry.mutation(description="Delete a user and everything of theirs; for admins.")
    async def delete_user(self, info: Info, input: DeleteUserInput) -> DeletePayload:
        caller, client = info.context.require_caller(), info.context.client
        deleted = info.context.runtime.accounts.delete_user(caller, input.id, client)
        return await answer(DeletePayload, "deleted_ids", deleted)

    @strawberry.mutation(description="Make a token for a program of the caller's, which lets it use /mcp.")
    async def create_access_token(self, info: Info, input: CreateAccessTokenInput) -> CreateAccessTokenPayload:
        work = partial(access_tokens.create_access_token, new=NewAccessToken(**vars(input)), client=info.context.client)
        return await answer(CreateAccessTokenPayload, "access_token", info.context.write(work), _access_token_fields)

    @strawberry.mutation(description="Revoke a token; it is refused from now on.")
    async def revoke_access_token(self, info: Info, input: RevokeAccessTokenInput) -> DeletePayload:
        work = partial(access_tokens.revoke_access_token, token_id=input.id, client=info.context.client)
        return await answer(DeletePayload, "deleted_ids", info.context.write(work))

    @strawberry.mutation(description="Make a task.")
    async def create_task(self, info: Info, input: CreateTaskInput) -> TaskPayload:
        return await create_row(info, TaskPayload, tasks, input)

    @strawberry.mutation(description="Make up to 100 tasks, all or none.")
    async def create_tasks(self, info: Info, input: CreateTasksInput) -> TasksPayload:
        caller, new = info.context.require_caller(), [task.to_new() for task in input.tasks]
        work = partial(tasks.create_many, caller=caller, new=new, idempotency_key=input.idempotency_key)
        creating = info.context.changing(info.context.database.transaction(work))
        return await answer(TasksPayload, "tasks", creating)

    @strawberry.mutation(description="Change what is given of a task: what is left out stays, null clears.")
    async def update_task(self, info: Info, input: UpdateTaskInput) -> TaskPayload:
        return await update_row(info, TaskPayload, tasks, input)

    @strawberry.mutation(description="Complete an open task, reopen a completed one.")
    async def toggle_task(self, info: Info, input: TaskRefInput) -> TaskPayload:
        work = partial(tasks.toggle, row_id=input.id, expected_revision=input.expected_revision)
        return await answer(TaskPayload, "task", info.context.write(work))

    @strawberry.mutation(description="Complete or reopen up to 100 tasks, all or none.")
    async def set_tasks_completed(self, info: Info, input: SetTasksCompletedInput) -> TasksPayload:
        work = partial(tasks.update_many, row_ids=input.ids, changes={"completed": input.completed})
        return await answer(TasksPayload, "tasks", info.context.write(work))

    @strawberry.mutation(description="Delete a task with its subtasks.")
    async def delete_task(self, info: Info, input: TaskRefInput) -> DeletePayload:
        return await delete_row(info, tasks, input)

    @strawberry.mutation(description="Delete up to 100 tasks with their subtasks, all or none.")
    async def delete_tasks(self, info: Info, input: DeleteTasksInput) -> DeletePayload:
        work = partial(tasks.delete_many, row_ids=input.ids)
        return await answer(DeletePayload, "deleted_ids", info.context.write(work))

    @strawberry.mutation(description="Make a conversation.")
    async def create_conversation(self, info: Info, input: CreateConversationInput) -> ConversationPayload:
        return await create_row(info, ConversationPayload, conversations, input)

    @strawberry.mutation(description="Change what is given of a conversation.")
    async def update_conversation(self, info: Info, input: UpdateConversationInput) -> ConversationPayload:
        return await update_row(info, ConversationPayload, conversations, input)

    @strawberry.mutation(description="Delete a conversation with its messages and the runs that wrote them.")
    async def delete_conversation(self, info: Info, input: ConversationRefInput) -> DeletePayload:
        return await delete_row(info, conversations, input)

    @strawberry.mutation(description="Store a message; no assistant answers it.")
    async def add_message(self, info: Info, input: AddMessageInput) -> MessagePayload:
        new = NewMessage(input.conversation_id, input.content, input.role)
        work = partial(add_message, new=new, key=input.idempotency_key)
        return await answer(MessagePayload, "message", info.context.write(work))

    @strawberry.mutation(
        graphql_type=SendMessagePayload,
        description="Store a message and let the assistant answer it; the run goes on when the client leaves.",
    )
    async def send_message(self, info: Info, input: SendMessageInput) -> Any:
        caller, assistant = info.context.require_caller(), info.context.runtime.assistant
        message = UserMessage(input.content, input.conversation_id, input.time_zone, input.idempotency_key)
        starting = assistant.send_message(caller, message)
        return await answer_started_run(info, starting, wait=input.wait)

    @strawberry.mutation(
        graphql_type=SendMessagePayload, description="Let the assistant answer a message anew; the old reply stays."
    )
    async def regenerate_reply(self, info: Info, input: RegenerateReplyInput) -> Any:
        caller, assistant = info.context.require_caller(), info.context.runtime.assistant
        starting = assistant.regenerate_reply(caller, input.message_id, input.idempotency_key)
        return await answer_started_run(info, starting, wait=input.wait)

    @strawberry.mutation(description="Stop a run wherever it is executed; the text so far is kept.")
    async def cancel_run(self, info: Info, input: RunRefInput) -> RunPayload:
        caller, assistant = info.context.require_caller(), info.context.runtime.assistant
        return await answer(RunPayload, "run", info.context.changing(assistant.cancel(caller, input.id)))

    @strawberry.mutation(
        description="Approve or reject a tool call that waits for approval; once none is left, its run goes on."
    )
    async def resolve_tool_call(self, info: Info, input: ResolveToolCallInput) -> RunPayload:
        caller, assistant = info.context.require_caller(), info.context.runtime.assistant
        resolving = assistant.resolve_tool_call(caller, input.id, approve=input.approve)
        return await answer(RunPayload, "run", info.context.changing(resolving))

    @strawberry.mutation(
        description="Take back what a run that has ended changed, as far as nothing else has changed it since."
    )
    async def undo_run(self, info: Info, input: RunRefInput) -> UndoRunPayload:
        work = partial(undo_run, run_id=input.id)
        return await answer(UndoRunPayload, "run", info.context.write(work), _fields)


async def _done(attempt: Awaitable[None]) -> EmptyPayload:
    return await answer(EmptyPayload, "", attempt, lambda _: {})


async def _tokens(info: Info, attempt: Awaitable[SessionTokens | None]) -> AuthPayload:
    def fields_of(tokens: SessionTokens | None) -> dict[str, Any]:
        if tokens is None:
            return {}
        refresh_token = info.context.refresh_token_of(tokens)
        shown = {"access_token": tokens.access_token, "expires_at": tokens.expires_at, "user": tokens.user}
        return shown | {"refresh_token": refresh_token}

    return await answer(AuthPayload, "user", attempt, fields_of)


def _fields(result: Any) -> dict[str, Any]:
    return {} if result is None else {field.name: getattr(result, field.name) for field in fields(result)}


def _access_token_fields(created: CreatedAccessToken) -> dict[str, Any]:
    return {"access_token": created.access_token, "token": created.text}
