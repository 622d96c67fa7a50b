/** What the page knows: a copy of the server's rows, and the cursor up to which it is true. */
import type { ChangeSet, Conversation, Message, Row, Run, Task, ToolCall } from "./rows";

export class Replica {
  cursor: string | null = null;
  private readonly rows = new Map<string, Row>();
  /** What was deleted, as it was: an answer that is late does not bring it back, and a title is still known. */
  private readonly deleted = new Map<string, Row | undefined>();

  /** Rows and cursor change together, so that a cut at any moment leaves nothing out and brings nothing twice. */
  apply({ changed, deletedIds, cursor }: ChangeSet): void {
    for (const row of changed) {
      if (row.__typename === "User") continue;
      this.deleted.delete(row.id);
      this.put(row);
    }
    for (const id of deletedIds) {
      this.deleted.set(id, this.rows.get(id) ?? this.deleted.get(id));
      this.rows.delete(id);
    }
    this.cursor = cursor;
  }

  /** Rows that a mutation answered with; what changed since may have come before them. */
  take(rows: Iterable<Row>): void {
    for (const row of rows) if (!this.deleted.has(row.id)) this.put(row);
  }

  clear(): void {
    this.rows.clear();
    this.deleted.clear();
    this.cursor = null;
  }

  has(id: string): boolean {
    return this.rows.has(id);
  }

  /** The latest active first. */
  conversations(): Conversation[] {
    return this.all("Conversation").sort((a, b) => order(b.updatedAt, a.updatedAt));
  }

  conversation(id: string | null): Conversation | undefined {
    const row = id === null ? undefined : this.rows.get(id);
    return row?.__typename === "Conversation" ? row : undefined;
  }

  messagesOf(conversationId: string): Message[] {
    return this.all("Message")
      .filter(({ conversation }) => conversation.id === conversationId)
      .sort(byAge);
  }

  runOf({ run }: Message): Run | undefined {
    const row = run === null ? undefined : this.rows.get(run.id);
    return row?.__typename === "Run" ? row : undefined;
  }

  toolCallsByRun(): Map<string, ToolCall[]> {
    const calls = new Map<string, ToolCall[]>();
    for (const call of this.all("ToolCall").sort(byAge)) {
      calls.set(call.calledBy.id, [...(calls.get(call.calledBy.id) ?? []), call]);
    }
    return calls;
  }

  /** Open tasks, the first due first; then what is done, the last done first. */
  tasks(): Task[] {
    return this.all("Task").sort(
      (a, b) =>
        Number(a.completed) - Number(b.completed) ||
        order(b.completedAt ?? "", a.completedAt ?? "") ||
        order(a.dueAt ?? "9999", b.dueAt ?? "9999") ||
        byAge(a, b),
    );
  }

  /** What a task is called, or was called before it was deleted. */
  titleOf(taskId: unknown): string | undefined {
    const row = this.rows.get(String(taskId)) ?? this.deleted.get(String(taskId));
    return row?.__typename === "Task" ? row.title : undefined;
  }

  private put(row: Row): void {
    const known = this.rows.get(row.id);
    if (known === undefined || known.revision <= row.revision) this.rows.set(row.id, row);
  }

  private all<Name extends Row["__typename"]>(name: Name): Extract<Row, { __typename: Name }>[] {
    return [...this.rows.values()].filter(
      (row): row is Extract<Row, { __typename: Name }> => row.__typename === name,
    );
  }
}

function byAge(a: { createdAt: string; id: string }, b: { createdAt: string; id: string }): number {
  return order(a.createdAt, b.createdAt) || order(a.id, b.id);
}

/** Moments come in UTC with as many digits as they need, which are in order as they are written. */
function order(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
