"""Lists as one parameter: PostgreSQL reads them as they were."""

from itertools import product
from typing import Final

from sqlalchemy import select

from core.database import Database
from core.ids import new_ids
from core.prepared_statement import PreparedStatement
from models import TaskPriority
from services.query.filters import enum_list_param, id_list_param, text_list_param
from services.query.sql import read
from tests.core.rows_of_all_tables import WILD
from tests.databases import only_postgresql

CHARACTERS: Final = [chr(code) for code in range(1, 0x300)]
SPECIAL: Final = ["", " ", '"', "\\", "'", ",", "{", "}", "NULL", "null", "\n", "a"]

pytestmark = only_postgresql


async def test_list_parameter_of_texts_comes_back(database: Database) -> None:
    statement = PreparedStatement(select(text_list_param("texts").label("texts")))
    combined = list(map("".join, product(SPECIAL, repeat=3)))
    for texts in ([], [""], ["", ""], [WILD] * 2, CHARACTERS, combined):
        assert await database.reader.fetch(statement, {"texts": texts}) == [(texts,)]
        async with database.read() as session:
            assert await read(session, statement, {"texts": texts}) == [(texts,)]


async def test_list_parameters_of_ids_and_enum_members_come_back(database: Database) -> None:
    columns = id_list_param("ids").label("ids"), enum_list_param("members", TaskPriority).label("members")
    ids, statement = new_ids(3), PreparedStatement(select(*columns))
    ((found, ranks),) = await database.reader.fetch(statement, {"ids": ids, "members": list(TaskPriority)})
    assert (list(map(str, found)), ranks) == (ids, [1, 2, 3])
    assert await database.reader.fetch(statement, {"ids": [], "members": []}) == [([], [])]
