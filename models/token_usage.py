"""The table of token usage: what each user's runs have used, day by day."""

from datetime import date

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel

from models.types import UserId


class TokenUsage(SQLModel, table=True):
    """The tokens of one user on one day of UTC."""

    __tablename__ = "token_usage"

    user_id: str = Field(primary_key=True, sa_type=UserId, foreign_key="users.id", ondelete="CASCADE")
    day: date = Field(primary_key=True)
    input_tokens: int = Field(default=0, sa_type=BigInteger)
    output_tokens: int = Field(default=0, sa_type=BigInteger)
