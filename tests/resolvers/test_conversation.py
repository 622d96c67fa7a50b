"""Creating, changing and deleting conversations, and storing messages."""

from typing import Any

from tests.resolvers.user_api import UserApi


async def test_create_conversation_returns_it(api: UserApi) -> None:
    longest = "\N{ROCKET}" * 500
    cases: list[tuple[dict[str, Any], str]] = [
        *(({}, "New conversation"), ({"title": None}, "New conversation")),
        *(({"title": "  Plans\n"}, "Plans"), ({"title": longest}, longest)),
    ]
    for revision, (given, title) in enumerate(cases, 1):
        made = (await api.ok("createConversation", **given))["conversation"]
        assert (made["title"], made["revision"], made["createdAt"]) == (title, revision, made["updatedAt"])
        query = f"query ($id: ID!) {{ conversation(id: $id) {{ {' '.join(made)} }} }}"
        assert await api.query(query, id=made["id"].upper()) == {"conversation": made}


async def test_update_conversation_changes_the_title(api: UserApi) -> None:
    talk = await api.conversation()
    changed = await api.ok("updateConversation", id=talk.id.upper(), title=" Other plans ", expectedRevision=1)
    assert (changed["conversation"]["title"], changed["conversation"]["revision"]) == ("Other plans", 2)
    assert changed["conversation"]["updatedAt"] > changed["conversation"]["createdAt"]
    async with api.unchanged():
        for given in ({}, {"title": "Other plans"}, {"title": "  Other plans "}):
            assert await api.ok("updateConversation", id=talk.id, **given) == changed


async def test_messages_are_stored_as_they_were_sent_in_their_order(api: UserApi) -> None:
    talk = await api.conversation()
    query = """query ($id: ID!) { conversation(id: $id) {
        revision updatedAt messages { nodes { content } }
        lastMessage { id role content status revision createdAt conversationId }
    } }"""
    # Escaped, the rockets are nearly the largest body.
    contents = ["Hello", " \n  indented, and\ttabbed \n", "\N{ROCKET}" * 80_000, "\u202eright to left\u202c"]
    for revision, content in enumerate(contents, 2):
        role = "ASSISTANT" if revision % 2 else "USER"
        message = (await api.ok("addMessage", conversationId=talk.id.upper(), content=content, role=role))["message"]
        assert (message["content"], message["role"], message["status"]) == (content, role, "COMPLETE")
        read = (await api.query(query, id=talk.id))["conversation"]
        assert [node["content"] for node in read.pop("messages")["nodes"]] == contents[: revision - 1]
        assert read == {"revision": revision, "updatedAt": message["createdAt"], "lastMessage": message}
    assert (await api.state()).stamps == [2, 3, 4, 5, 5]


async def test_empty_and_too_long_messages_are_refused(api: UserApi) -> None:
    talk = await api.conversation()
    async with api.unchanged():
        for content, message in (
            ("", "content is empty; write something."),
            (" \t\n\u3000", "content is empty; write something."),
            ("x" * 100_001, "content must be 1 to 100000 characters long; it has 100001."),
        ):
            refused = await api.refused("addMessage", conversationId=talk.id, content=content)
            assert refused == ("BAD_USER_INPUT", "input.content", message)
