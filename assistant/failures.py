"""What people are told of a run that failed: a plain sentence; the details are for the log."""

from typing import Final

from assistant.reply_writer import ReplyTooLongError
from core.errors import TasktalkError

RESTARTED: Final = "The server stopped while this reply was written. Ask again."
DIED: Final = "The reply was cut off on our side. Ask again."
_FAILED: Final = "Something went wrong on our side while this reply was written. Ask again."


class NoAnswerError(Exception):
    """The model has said nothing and done nothing."""


def describe(error: BaseException) -> str:
    """Return what to tell of a failure."""
    import agents  # noqa: PLC0415 - loads slowly; here it is loaded long since
    import openai  # noqa: PLC0415 - as above

    sentences: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
        ((TimeoutError, openai.APITimeoutError), "The assistant took too long to answer. Ask again."),
        (openai.RateLimitError, "The assistant's provider has too much to do just now. Ask again in a while."),
        (
            (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError),
            "The assistant is not set up properly. Tell whoever runs this server.",
        ),
        ((openai.OpenAIError, NoAnswerError), "The assistant's provider failed. Ask again."),
        (agents.MaxTurnsExceeded, "The assistant did not come to an end. Ask for less at once."),
        # A lone surrogate is more than the SDK can take.
        (
            (agents.ModelBehaviorError, UnicodeError),
            "The assistant's model gave an answer that makes no sense. Ask again.",
        ),
        (ReplyTooLongError, "The reply became too long. Ask for less at once."),
    )
    if isinstance(error, agents.UserError) and error.__cause__ is not None:
        # What a tool raised, as the SDK hands it on.
        error = error.__cause__
    for kinds, sentence in sentences:
        if isinstance(error, kinds):
            return sentence
    return error.message if isinstance(error, TasktalkError) else _FAILED
