// Makes a task, and leaves the same rows behind as our server does.
import { randomUUID } from "node:crypto";

import { NAMED_PRIORITY, RANKS } from "./priority.js";

const COUNT = "UPDATE users SET revision = revision + 1 WHERE id = $1 AND is_active RETURNING revision";
const MAKE = `INSERT INTO tasks (user_id, id, revision, created_at, title, description, completed, priority, due_at, tags,
    words, updated_at)
  VALUES ($1, $2, $3, $4, $5, $6, false, $7, $8, $9, $10, $4)
  RETURNING id, title, description, completed, ${NAMED_PRIORITY}, due_at AS "dueAt", tags, revision,
    created_at AS "createdAt", updated_at AS "updatedAt"`;
const RECORD = `INSERT INTO history (user_id, id, revision, created_at, entity, row_id, kind, before, after)
  VALUES ($1, $2, $3, $4, 'TASK', $5, 'CREATED', '{}', $6)`;

const wordsOf = (...texts) => {
  const whole = texts.filter(Boolean).join(" ").normalize("NFKC").toLowerCase();
  return [...new Set(whole.match(/[\p{L}\p{N}_]+/gu) ?? [])].sort().join(" ");
};

export async function createTask({ pool, userId }, input) {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    const task = await make(client, userId, input);
    await client.query("COMMIT");
    return task;
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  } finally {
    client.release();
  }
}

async function make(client, userId, { title, description, priority, dueAt, tags }) {
  const id = randomUUID();
  const moment = new Date();
  const counted = await client.query({ name: "count", text: COUNT, values: [userId] });
  const { revision } = counted.rows[0];
  const words = wordsOf(title, description);
  const values = [userId, id, revision, moment, title, description, RANKS[priority], dueAt, tags, words];
  const made = await client.query({ name: "make", text: MAKE, values });
  const after = {
    ...{ title, description, completed: false, completed_at: null, priority },
    ...{ due_at: dueAt, tags, parent_id: null, created_at: moment },
  };
  const record = [userId, randomUUID(), revision, moment, id, JSON.stringify(after)];
  await client.query({ name: "record", text: RECORD, values: record });
  return made.rows[0];
}
