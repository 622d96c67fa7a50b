// The lists: pages by keyset, and one statement for the pages of many parents.
import { NAMED_PRIORITY, RANKS } from "./priority.js";

const TASK = `id, title, description, completed, ${NAMED_PRIORITY}, due_at AS "dueAt", tags, revision,
  created_at AS "createdAt", updated_at AS "updatedAt"`;
const MESSAGE = `id, role, content, created_at AS "createdAt"`;
const DIRECTION = { asc: ">", desc: "<" };

const writeCursor = (moment, id) => Buffer.from(JSON.stringify([moment, id])).toString("base64url");
const readCursor = (text) => JSON.parse(Buffer.from(text, "base64url").toString());

function page(rows, first, moment) {
  const nodes = rows.length > first ? rows.slice(0, first) : rows;
  const last = nodes.at(-1);
  return {
    nodes,
    pageInfo: { hasNextPage: rows.length > first, endCursor: last ? writeCursor(last[moment], last.id) : null },
  };
}

// A statement that is the same for the same choice of conditions, so that it is prepared once.
function statement(table, columns, { userId, conditions, order, after, first }) {
  const values = [userId];
  const bind = (value) => `$${values.push(value)}`;
  const where = [`user_id = $1`, ...conditions(bind)];
  if (after) {
    const [moment, id] = readCursor(after);
    where.push(`(${order.column}, id) ${DIRECTION[order.direction]} (${bind(moment)}::timestamptz, ${bind(id)}::uuid)`);
  }
  const by = `${order.nullable ? `${order.column} IS NULL, ` : ""}${order.column} ${order.direction}, id ${order.direction}`;
  const bounded = where.join(" AND ");
  const text = `SELECT ${columns} FROM ${table} WHERE ${bounded} ORDER BY ${by} LIMIT ${bind(first + 1)}`;
  return { text, values, count: { text: `SELECT count(*)::int AS total FROM ${table} WHERE ${bounded}`, values: values.slice(0, -1) } };
}

// `pg` prepares what has a name of at most 63 characters, once on each connection.
const names = new Map();
const prepared = ({ text, values }) => {
  if (!names.has(text)) names.set(text, `s${names.size}`);
  return { name: names.get(text), text, values };
};
const query = async (pool, each) => (await pool.query(prepared(each))).rows;

const ORDERS = {
  CREATED_AT: { column: "created_at", direction: "asc", key: "createdAt" },
  DUE_AT: { column: "due_at", direction: "asc", nullable: true, key: "dueAt" },
};

const taskConditions = (filter) => (bind) => {
  const conditions = [];
  if (filter?.completed != null) conditions.push(`completed = ${bind(filter.completed)}`);
  if (filter?.priority != null) {
    conditions.push(`tasks.priority = ANY(${bind(filter.priority.map((name) => RANKS[name]))}::smallint[])`);
  }
  if (filter?.isSubtask != null) conditions.push(`parent_id IS ${filter.isSubtask ? "NOT NULL" : "NULL"}`);
  return conditions;
};

export async function tasks({ pool, userId }, { first, after, filter, orderBy }) {
  const order = ORDERS[orderBy?.[0]?.field ?? "CREATED_AT"];
  const { count, ...list } = statement("tasks", TASK, { userId, conditions: taskConditions(filter), order, after, first });
  return { ...page(await query(pool, list), first, order.key), count };
}

export async function totalOf({ pool }, list) {
  return (await query(pool, list.count))[0].total;
}

export async function conversations({ pool, userId }, { first, after }) {
  const order = { column: "updated_at", direction: "desc" };
  const columns = `id, title, updated_at AS "updatedAt"`;
  const list = statement("conversations", columns, { userId, conditions: () => [], order, after, first });
  return page(await query(pool, list), first, "updatedAt");
}

export async function conversation({ pool, userId }, id) {
  const text = "SELECT id, title FROM conversations WHERE user_id = $1 AND id = $2";
  return (await query(pool, { text, values: [userId, id] }))[0];
}

export async function node({ pool, userId }, id) {
  for (const [type, table, columns] of [
    ["Task", "tasks", TASK],
    ["Conversation", "conversations", "id, title"],
    ["Message", "messages", MESSAGE],
  ]) {
    const text = `SELECT ${columns} FROM ${table} WHERE user_id = $1 AND id = $2`;
    const [row] = await query(pool, { text, values: [userId, id] });
    if (row) return { __typename: type, ...row };
  }
  return null;
}

// One statement for all parents that ask with the same arguments; aliases may bring different ones.
async function pages({ pool, userId }, queries, table, columns, parent) {
  const groups = Map.groupBy(queries, ({ params }) => `${params.first} ${params.after ?? ""}`);
  const found = new Map();
  await Promise.all(
    [...groups.values()].map(async (group) => {
      const { first, after } = group[0].params;
      const values = [userId, group.map(({ obj }) => obj.id), first + 1];
      if (after) values.push(...readCursor(after));
      const beyond = after ? "AND (created_at, id) > ($4::timestamptz, $5::uuid)" : "";
      const text = `SELECT parent.id AS "parentId", page.* FROM unnest($2::uuid[]) AS parent (id) CROSS JOIN LATERAL (
        SELECT ${columns} FROM ${table} WHERE user_id = $1 AND ${parent} = parent.id ${beyond}
        ORDER BY created_at, id LIMIT $3) page`;
      const rows = Map.groupBy(await query(pool, { text, values }), (row) => row.parentId);
      for (const each of group) found.set(each, page(rows.get(each.obj.id) ?? [], first, "createdAt"));
    }),
  );
  return queries.map((each) => found.get(each));
}

export const messages = (context, queries) => pages(context, queries, "messages", MESSAGE, "conversation_id");
export const subtasks = (context, queries) => pages(context, queries, "tasks", TASK, "parent_id");
