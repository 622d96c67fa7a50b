"""The rows that every server reads: made inside PostgreSQL, with ids that follow from numbers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import asyncpg

from core.tokens import AccessTokens

TOP_TASKS: Final = 60
_BRANCHES: Final = 12  # open top-level tasks that have five parts with three steps each
_FIRST_STEP: Final = TOP_TASKS + _BRANCHES * 5
_ALL_TASKS: Final = _FIRST_STEP + _BRANCHES * 5 * 3
_CONVERSATIONS: Final = 25
_MESSAGES: Final = 45
_TOKEN_LIFETIME: Final = timedelta(days=1)
_USER, _SESSION, _TASK, _CONVERSATION, _MESSAGE = range(1, 6)


@dataclass(frozen=True, slots=True)
class Population:
    """How many users there are; the first of them, the full users, have subtasks and conversations too."""

    users: int = 2_000
    full_users: int = 200

    @property
    def sessions_of_full_user(self) -> int:
        """Return how many sessions a full user has: together they have as many tokens as there are users."""
        return self.users // self.full_users


# What is put into the statements are the constants above.
_FUNCTION_SQL: Final = """
CREATE FUNCTION bench_id(kind int, owner int, number int) RETURNS uuid IMMUTABLE LANGUAGE sql AS $$
  SELECT ('01900000-000' || kind || '-7000-8' || lpad(to_hex(owner), 3, '0') || '-' ||
          lpad(to_hex(number), 12, '0'))::uuid
$$"""
_USERS_SQL: Final = f"""
INSERT INTO users (id, email, name, revision, created_at, updated_at)
SELECT bench_id({_USER}, u, 0), 'user' || u || '@example.com', 'User ' || u, 1, moment, moment
FROM generate_series(0, $1::int - 1) AS u, (SELECT timestamptz '2026-01-05 08:00Z') AS start (moment)"""  # noqa: S608
_SESSIONS_SQL: Final = f"""
INSERT INTO sessions (id, user_id, token_hash, expires_at, created_at)
SELECT bench_id({_SESSION}, u, s), bench_id({_USER}, u, 0), md5(u || ' ' || s), now() + interval '30 days', now()
FROM generate_series(0, $1::int - 1) AS u
CROSS JOIN LATERAL generate_series(0, CASE WHEN u < $2 THEN $1 / $2 - 1 ELSE 0 END) AS s"""  # noqa: S608
_TASKS_SQL: Final = f"""
INSERT INTO tasks (user_id, id, revision, created_at, updated_at, title, description, completed, completed_at, priority,
                   due_at, tags, parent_id, words)
SELECT bench_id({_USER}, u, 0), bench_id({_TASK}, u, n), 1, moment, moment, 'Task ' || n || ' of the year',
       CASE WHEN n % 4 > 0 THEN 'More about task ' || n || ', as people write it down.' END,
       n % 3 = 2, CASE WHEN n % 3 = 2 THEN moment + interval '1 hour' END, (ARRAY[2, 3, 1, 2])[n % 4 + 1],
       CASE WHEN n % 2 = 0 THEN moment + n * 7 % 400 * interval '1 day' END,
       CASE n % 5 WHEN 1 THEN ARRAY['home'] WHEN 2 THEN ARRAY['work', 'soon'] ELSE '{{}}' END,
       bench_id({_TASK}, u, CASE WHEN n >= {_FIRST_STEP} THEN {TOP_TASKS} + (n - {_FIRST_STEP}) / 3
                                 WHEN n >= {TOP_TASKS} THEN (n - {TOP_TASKS}) / 10 * 3 + (n - {TOP_TASKS}) / 5 % 2 END),
       n || ' of task the year'
FROM generate_series(0, $1::int - 1) AS u
CROSS JOIN LATERAL generate_series(0, CASE WHEN u < $2 THEN {_ALL_TASKS} ELSE {TOP_TASKS} END - 1) AS n
CROSS JOIN LATERAL (SELECT timestamptz '2026-01-05 08:00Z' + n * interval '1 minute') AS created (moment)"""  # noqa: S608
_CONVERSATIONS_SQL: Final = f"""
INSERT INTO conversations (user_id, id, revision, created_at, updated_at, title)
SELECT bench_id({_USER}, u, 0), bench_id({_CONVERSATION}, u, c), 1, moment, moment, 'Plans of week ' || c
FROM generate_series(0, $1::int - 1) AS u, generate_series(0, {_CONVERSATIONS - 1}) AS c
CROSS JOIN LATERAL (SELECT timestamptz '2026-01-05 08:00Z' + c * interval '1 hour') AS created (moment)"""  # noqa: S608
_MESSAGES_SQL: Final = f"""
INSERT INTO messages (user_id, id, revision, created_at, conversation_id, role, content, status)
SELECT bench_id({_USER}, u, 0), bench_id({_MESSAGE}, u, c * 1000 + m), 1,
       timestamptz '2026-01-05 08:00Z' + c * interval '1 hour' + m * interval '1 second',
       bench_id({_CONVERSATION}, u, c), CASE WHEN m % 2 = 0 THEN 'USER' ELSE 'ASSISTANT' END,
       'Message ' || m || ', of a usual length, as people write them to an assistant.', 'COMPLETE'
FROM generate_series(0, $1::int - 1) AS u, generate_series(0, {_CONVERSATIONS - 1}) AS c,
     generate_series(0, {_MESSAGES - 1}) AS m"""  # noqa: S608
# Later tasks are those that were created while measuring.
_DELETE_NEW_SQL: Final = "DELETE FROM tasks WHERE created_at > '2026-02-01'"
# What other revisions of the server call the history.
_HISTORY_SQL: Final = "SELECT coalesce(to_regclass('history'), to_regclass('task_changes'))::text"


def _row_id(kind: int, owner: int, number: int) -> str:
    """Return the id that `bench_id` gives to a row."""
    return f"01900000-000{kind}-7000-8{owner:03x}-{number:012x}"


def user_id(user: int) -> str:
    """Return the id of a user."""
    return _row_id(_USER, user, 0)


def task_id(user: int, number: int) -> str:
    """Return the id of a user's task."""
    return _row_id(_TASK, user, number)


@dataclass(frozen=True, slots=True)
class Tokens:
    """The access tokens, one of each session."""

    _texts: Mapping[tuple[int, int], str]

    @classmethod
    def signed(cls, secret_key: str, population: Population) -> "Tokens":
        """Sign a token for each session."""
        tokens = AccessTokens(secret_key, _TOKEN_LIFETIME)
        return cls(
            {
                (user, session): tokens.issue(user_id(user), _row_id(_SESSION, user, session)).text
                for user in range(population.users)
                for session in range(population.sessions_of_full_user if user < population.full_users else 1)
            }
        )

    def sessions(self) -> Iterable[tuple[int, int]]:
        """Return the user and the session of each token."""
        return self._texts.keys()

    def of(self, user: int, session: int = 0) -> str:
        """Return the token of a user's session."""
        return self._texts[user, session]


async def load_rows(database_url: str, population: Population, *, with_messages: bool) -> None:
    """Fill a migrated, empty database."""
    connection = await asyncpg.connect(database_url)
    # Without checks of foreign keys, for speed.
    await connection.execute("SET session_replication_role = replica")
    await connection.execute(_FUNCTION_SQL)
    await connection.execute(_USERS_SQL, population.users)
    await connection.execute(_SESSIONS_SQL, population.users, population.full_users)
    await connection.execute(_TASKS_SQL, population.users, population.full_users)
    if with_messages:
        await connection.execute(_CONVERSATIONS_SQL, population.full_users)
        await connection.execute(_MESSAGES_SQL, population.full_users)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


async def delete_new_tasks(database_url: str) -> None:
    """Bring the tasks back to what was loaded, so that each measurement begins with the same rows."""
    connection = await asyncpg.connect(database_url)
    history = await connection.fetchval(_HISTORY_SQL)
    await connection.execute(f"TRUNCATE {history}")
    await connection.execute(_DELETE_NEW_SQL)
    await connection.execute(f"VACUUM ANALYZE tasks, {history}, users")
    await connection.close()
