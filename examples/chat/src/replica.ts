/** What the page knows: a copy of the server's conversations and messages, and the cursor up to which it is true. */

export interface Conversation {
  readonly __typename: "Conversation";
  readonly id: string;
  readonly title: string;
}

export interface Message {
  readonly __typename: "Message";
  readonly id: string;
  readonly role: "USER" | "ASSISTANT";
  readonly content: string;
  readonly conversation: { readonly id: string };
}

export interface ChangeSet {
  readonly changed: readonly (Conversation | Message | { readonly __typename: "Task" | "User" })[];
  readonly deletedIds: readonly string[];
  readonly cursor: string;
  readonly hasMore: boolean;
}

export class Replica {
  cursor: string | null = null;
  readonly conversations = new Map<string, Conversation>();
  private readonly messages = new Map<string, Message>();

  /** Rows and cursor change together, so that a cut at any moment leaves nothing out and brings nothing twice. */
  apply({ changed, deletedIds, cursor }: ChangeSet): void {
    for (const row of changed) {
      if (row.__typename === "Conversation") this.add(row);
      if (row.__typename === "Message") this.messages.set(row.id, row);
    }
    for (const id of deletedIds) {
      this.conversations.delete(id);
      this.messages.delete(id);
    }
    this.cursor = cursor;
  }

  /** The latest active stands last. */
  add(conversation: Conversation): void {
    this.conversations.delete(conversation.id);
    this.conversations.set(conversation.id, conversation);
  }

  clear(): void {
    this.conversations.clear();
    this.messages.clear();
    this.cursor = null;
  }

  messagesOf(conversationId: string): Message[] {
    return [...this.messages.values()].filter(({ conversation }) => conversation.id === conversationId);
  }
}
