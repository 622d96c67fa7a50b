/** What the page asks of each kind of row. Aliases, for a status, and a run, is of another type in each of them. */

export type MessageStatus = "STREAMING" | "COMPLETE" | "CANCELLED" | "FAILED";

interface Stored {
  readonly id: string;
  readonly revision: number;
}

export interface Conversation extends Stored {
  readonly __typename: "Conversation";
  readonly title: string;
  readonly updatedAt: string;
}

export interface Message extends Stored {
  readonly __typename: "Message";
  readonly role: "USER" | "ASSISTANT";
  readonly content: string;
  readonly messageStatus: MessageStatus;
  readonly createdAt: string;
  readonly conversation: { readonly id: string };
  readonly run: { readonly id: string } | null;
}

export interface Run extends Stored {
  readonly __typename: "Run";
  readonly runStatus: "QUEUED" | "RUNNING" | "AWAITING_APPROVAL" | "COMPLETED" | "CANCELLED" | "FAILED";
  readonly error: string | null;
  readonly undoneAt: string | null;
}

export interface ToolCall extends Stored {
  readonly __typename: "ToolCall";
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly result: unknown;
  readonly callStatus: "AWAITING_APPROVAL" | "RUNNING" | "COMPLETED" | "REJECTED" | "FAILED";
  readonly createdAt: string;
  readonly calledBy: { readonly id: string };
}

export interface Task extends Stored {
  readonly __typename: "Task";
  readonly title: string;
  readonly completed: boolean;
  readonly completedAt: string | null;
  readonly priority: "LOW" | "MEDIUM" | "HIGH";
  readonly dueAt: string | null;
  readonly tags: readonly string[];
  readonly createdAt: string;
}

export type Row = Conversation | Message | Run | ToolCall | Task;

export interface ChangeSet {
  readonly changed: readonly (Row | { readonly __typename: "User" })[];
  readonly deletedIds: readonly string[];
  readonly cursor: string;
  readonly hasMore: boolean;
}

export const CONVERSATION = "__typename id revision title updatedAt";
export const MESSAGE =
  "__typename id revision role content messageStatus: status createdAt conversation { id } run { id }";
export const RUN = "__typename id revision runStatus: status error undoneAt";
export const TASK = "__typename id revision title completed completedAt priority dueAt tags createdAt";
const TOOL_CALL = "__typename id revision name arguments result callStatus: status createdAt calledBy: run { id }";

export const CHANGES = `
  changed {
    __typename
    ... on Conversation { ${CONVERSATION} }
    ... on Message { ${MESSAGE} }
    ... on Run { ${RUN} }
    ... on ToolCall { ${TOOL_CALL} }
    ... on Task { ${TASK} }
  }
  deletedIds
  cursor
  hasMore`;
