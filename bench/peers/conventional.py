"""A conventional server: FastAPI, Strawberry's router, SQLModel's objects, DataLoaders, python-jose."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final

import strawberry
from fastapi import Depends, FastAPI, Header, HTTPException
from jose import JWTError, jwt
from strawberry.fastapi import BaseContext, GraphQLRouter

from bench.peers.conventional_data import Loaders, Sessions, database
from bench.peers.conventional_schema import Mutation, Query

_SECRET: Final = os.environ["SECRET_KEY"]


class Context(BaseContext):
    """Who asks, and what loads their rows; made anew for each request."""

    def __init__(self, user_id: str, sessions: Sessions) -> None:
        super().__init__()
        self.user_id = user_id
        self.sessions = sessions
        self.loaders = Loaders(sessions, user_id)


def _user_id(authorization: Annotated[str, Header()]) -> str:
    try:
        claims = jwt.decode(
            authorization.removeprefix("Bearer "), _SECRET, algorithms=["HS256"], issuer="tasktalk", audience="tasktalk"
        )
    except JWTError:
        raise HTTPException(401, "The access token is not valid.") from None
    return str(claims["sub"])


async def _context(user_id: Annotated[str, Depends(_user_id)]) -> Context:
    return Context(user_id, app.state.sessions)


@asynccontextmanager
async def _lifespan(application: FastAPI) -> AsyncIterator[None]:
    async with database(os.environ["DATABASE_URL"], int(os.environ["POOL_SIZE"])) as sessions:
        application.state.sessions = sessions
        yield


_router: Final[GraphQLRouter[Any, Any]] = GraphQLRouter(
    strawberry.Schema(Query, Mutation), path="/graphql", context_getter=_context
)
app: Final = FastAPI(lifespan=_lifespan)
app.include_router(_router)
