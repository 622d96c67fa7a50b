/** What a person can do: each a mutation, whose rows the replica takes, and whose errors are thrown. */
import type { Account } from "./account";
import type { Replica } from "./replica";
import { CONVERSATION, MESSAGE, type Row, RUN, TASK } from "./rows";

const ANSWERING = `
  conversation { ${CONVERSATION} } message { ${MESSAGE} } reply { ${MESSAGE} } run { ${RUN} } errors { message }`;

const SEND = `mutation Send($input: SendMessageInput!) { payload: sendMessage(input: $input) { ${ANSWERING} } }`;
const RETRY = `mutation Retry($input: RegenerateReplyInput!) {
  payload: regenerateReply(input: $input) { ${ANSWERING} }
}`;
const CANCEL = `mutation Cancel($input: RunRefInput!) {
  payload: cancelRun(input: $input) { run { ${RUN} } errors { message } }
}`;
const RESOLVE = `mutation Resolve($input: ResolveToolCallInput!) {
  payload: resolveToolCall(input: $input) { run { ${RUN} } errors { message } }
}`;
const UNDO = `mutation Undo($input: RunRefInput!) {
  payload: undoRun(input: $input) { run { ${RUN} } kept { taskId message } errors { message } }
}`;
const ADD_TASK = `mutation AddTask($input: CreateTaskInput!) {
  payload: createTask(input: $input) { task { ${TASK} } errors { message } }
}`;
const CHANGE_TASK = `mutation ChangeTask($input: UpdateTaskInput!) {
  payload: updateTask(input: $input) { task { ${TASK} } errors { message } }
}`;

interface Problem {
  readonly message: string;
}

interface Payload {
  readonly errors: readonly Problem[];
  readonly kept?: readonly (Problem & { readonly taskId: string })[];
  readonly [field: string]: unknown;
}

export class Actions {
  constructor(
    private readonly account: Account,
    private readonly replica: Replica,
  ) {}

  /** Asks the assistant, in a new conversation if none is named; returns the conversation's id. */
  async send(content: string, conversationId: string | null, idempotencyKey: string): Promise<string | null> {
    const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
    const payload = await this.mutate(SEND, { content, conversationId, idempotencyKey, timeZone, wait: false });
    return isRow(payload["conversation"]) ? payload["conversation"].id : null;
  }

  async retry(messageId: string): Promise<void> {
    await this.mutate(RETRY, { messageId, wait: false });
  }

  async cancel(runId: string): Promise<void> {
    await this.mutate(CANCEL, { id: runId });
  }

  async resolve(toolCallId: string, approve: boolean): Promise<void> {
    await this.mutate(RESOLVE, { id: toolCallId, approve });
  }

  /** Takes back what a run changed; what has changed since, it cannot, which is told as any problem. */
  async undo(runId: string): Promise<void> {
    const { kept = [] } = await this.mutate(UNDO, { id: runId });
    const reasons = kept.map(({ taskId, message }) => `“${this.replica.titleOf(taskId) ?? "A task"}”: ${message}`);
    if (reasons.length > 0) throw new Error([...new Set(reasons)].join(" "));
  }

  async addTask(title: string, idempotencyKey: string): Promise<void> {
    await this.mutate(ADD_TASK, { title, idempotencyKey });
  }

  async completeTask(id: string, completed: boolean): Promise<void> {
    await this.mutate(CHANGE_TASK, { id, completed });
  }

  private async mutate(document: string, input: object): Promise<Payload> {
    const { payload } = await this.account.request<{ payload: Payload }>(document, { input });
    const [problem] = payload.errors;
    if (problem !== undefined) throw new Error(problem.message);
    this.replica.take(Object.values(payload).filter(isRow));
    return payload;
  }
}

function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null && "__typename" in value;
}
