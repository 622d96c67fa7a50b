"""What other programs can read without a tool: the open tasks, and what was said in a conversation."""

from typing import Any, Final

import orjson
from mcp.types import (
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)
from sqlmodel.ext.asyncio.session import AsyncSession

from assistant.tools import find_tasks
from core.errors import NotFoundError
from core.page_size import MAX_PAGE_SIZE
from graph.context import Runtime
from models import AccessScope, Conversation
from services.accounts.access_tokens import Grant
from services.accounts.caller import Caller
from services.conversations.conversations import conversation_listing
from services.conversations.message import message_listing
from services.query.lookup import rows_by_id
from services.query.pagination import PageArguments, fetch_page, fetch_pages, read_window
from services.tasks.task_lists import TaskFilter, TaskOrder

_OPEN_TASKS: Final = "tasktalk://tasks/open"
_CONVERSATION: Final = "tasktalk://conversations/"
_JSON: Final = "application/json"
_MOST_LISTED: Final = 20
# A model reads it all at once: what was said last matters most.
_MOST_CHARACTERS: Final = 200_000
_SOONEST_DUE: Final = TaskOrder.by("due_at")
_COLUMNS: Final = frozenset({"id", "role", "content", "status", "created_at"})


async def list_resources(runtime: Runtime, grant: Grant, _given: PaginatedRequestParams | None) -> ListResourcesResult:
    """Return the open tasks and the conversations that were active last."""
    if AccessScope.TASKS_READ not in grant.scopes:
        return ListResourcesResult(resources=[])
    listing = conversation_listing(grant.caller, frozenset({"id", "title"}))
    async with runtime.database.read() as session:
        page = await fetch_page(session, listing, read_window(listing.order, PageArguments(first=_MOST_LISTED)))
    tasks = Resource(
        uri=_OPEN_TASKS,
        name="open_tasks",
        title="Open tasks",
        description="What is still to be done, the soonest due first.",
        mime_type=_JSON,
    )
    conversations = [
        Resource(uri=f"{_CONVERSATION}{row.id}", name=row.id, title=row.title, mime_type=_JSON) for row in page.rows
    ]
    return ListResourcesResult(resources=[tasks, *conversations])


async def list_templates(
    _runtime: Runtime, grant: Grant, _given: PaginatedRequestParams | None
) -> ListResourceTemplatesResult:
    """Return what has an id in its address."""
    template = ResourceTemplate(
        uri_template=f"{_CONVERSATION}{{id}}",
        name="conversation",
        title="Conversation",
        description="What was said in a conversation with the assistant, the oldest first.",
        mime_type=_JSON,
    )
    return ListResourceTemplatesResult(resource_templates=[template] if AccessScope.TASKS_READ in grant.scopes else [])


async def read_resource(runtime: Runtime, grant: Grant, given: ReadResourceRequestParams) -> ReadResourceResult:
    """Return what is at an address."""
    uri = str(given.uri)
    async with runtime.database.read() as session:
        if uri == _OPEN_TASKS:
            content = await open_tasks(session, grant.caller)
        elif uri.startswith(_CONVERSATION):
            content = await _conversation(session, grant.caller, uri.removeprefix(_CONVERSATION))
        else:
            raise NotFoundError("There is no such resource.")
    text = orjson.dumps(content).decode()
    return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type=_JSON, text=text)])


async def open_tasks(session: AsyncSession, caller: Caller) -> dict[str, Any]:
    """Return the caller's open tasks, the soonest due first."""
    return await find_tasks(session, caller, TaskFilter(completed=False), MAX_PAGE_SIZE, _SOONEST_DUE)


async def _conversation(session: AsyncSession, caller: Caller, conversation_id: str) -> dict[str, Any]:
    (conversation,) = await rows_by_id(session, caller, Conversation, [conversation_id], ("title",))
    if conversation is None:
        raise NotFoundError("There is no such conversation.")
    listing = message_listing(caller, _COLUMNS)
    window = read_window(listing.order, PageArguments(last=MAX_PAGE_SIZE))
    (page,) = await fetch_pages(session, listing, window, "conversation_id", [conversation.id])
    messages: list[dict[str, Any]] = []
    room = _MOST_CHARACTERS
    for row in reversed(page.rows):
        room -= len(row.content)
        if messages and room < 0:
            break
        messages.insert(0, _message(row))
    is_whole = len(messages) == len(page.rows) and not page.has_previous_page
    return {"id": conversation.id, "title": conversation.title, "messages": messages, "is_whole": is_whole}


def _message(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "role": row.role.value,
        "content": row.content,
        "status": row.status.value,
        "created_at": row.created_at.isoformat(),
    }
