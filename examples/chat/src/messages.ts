/** Shows the messages of a conversation, with what the assistant did for each reply and what it asks. */
import { button, List, make, setText, type View } from "./elements";
import type { Replica } from "./replica";
import type { Message, Run, ToolCall } from "./rows";
import { changes, describe, question } from "./tool-calls";

export interface Decisions {
  resolve(toolCallId: string, approve: boolean): void;
  retry(messageId: string): void;
  undo(runId: string): void;
}

interface Shown {
  readonly id: string;
  readonly message: Message;
  readonly text: string;
  readonly run: Run | undefined;
  readonly calls: readonly ToolCall[];
  readonly isLast: boolean;
}

export class Messages {
  private readonly list: List<Shown>;

  constructor(
    parent: Element,
    private readonly replica: Replica,
    decisions: Decisions,
  ) {
    this.list = new List(parent, ({ message }) =>
      message.role === "USER" ? showQuestion() : new ReplyView(replica, decisions),
    );
  }

  /** The reply that is being written is shown as far as it has come here. */
  show(messages: readonly Message[], written: string): void {
    const calls = this.replica.toolCallsByRun();
    const shown = messages.map((message, place) => {
      const run = this.replica.runOf(message);
      const text = message.messageStatus === "STREAMING" ? written : message.content;
      const isLast = place === messages.length - 1;
      return { id: message.id, message, text, run, calls: (run && calls.get(run.id)) ?? [], isLast };
    });
    this.list.show(shown);
  }
}

function showQuestion(): View<Shown> {
  const element = make("li", "message user");
  element.dir = "auto";
  return { element, show: ({ text }) => setText(element, text) };
}

class ReplyView implements View<Shown> {
  readonly element = make("li", "message assistant");
  private readonly text = make("p", "text");
  private readonly end = make("p", "end");
  private readonly endText = make("span");
  private readonly lines: List<ToolCall>;
  private readonly cards: List<ToolCall>;
  private readonly retry: HTMLButtonElement;
  private readonly undo: HTMLButtonElement;
  private shown: Shown | undefined;

  constructor(replica: Replica, decisions: Decisions) {
    const lines = make("ul", "calls");
    const cards = make("div", "cards");
    const titleOf = (taskId: unknown) => replica.titleOf(taskId);
    this.lines = new List(lines, () => showLine(titleOf));
    this.cards = new List(cards, (call) => showCard(call, titleOf, decisions));
    this.retry = button("Try again", "quiet small", () => this.shown && decisions.retry(this.shown.id));
    this.undo = button("Undo", "quiet small", () => this.shown?.run && decisions.undo(this.shown.run.id));
    this.end.append(this.endText, this.retry, this.undo);
    this.text.dir = "auto";
    this.element.append(lines, this.text, cards, this.end);
  }

  show(shown: Shown): void {
    const { message, text, run, calls } = shown;
    const isWriting = message.messageStatus === "STREAMING" && run?.runStatus !== "AWAITING_APPROVAL";
    this.shown = shown;
    this.element.classList.toggle("writing", isWriting);
    // A screen reader waits for the whole of it.
    this.element.ariaBusy = String(isWriting);
    setText(this.text, text);
    this.lines.show(calls.filter(({ callStatus }) => callStatus !== "AWAITING_APPROVAL"));
    this.cards.show(calls.filter(({ callStatus }) => callStatus === "AWAITING_APPROVAL"));
    this.showEnd(shown);
  }

  private showEnd({ message, run, calls, isLast }: Shown): void {
    const { messageStatus } = message;
    const isUndone = (run?.undoneAt ?? null) !== null;
    setText(this.endText, isUndone ? "Undone." : endOf(message, run));
    this.retry.hidden = !isLast || (messageStatus !== "CANCELLED" && messageStatus !== "FAILED");
    this.undo.hidden = messageStatus === "STREAMING" || isUndone || !calls.some(changes);
    this.end.hidden = this.endText.textContent === "" && this.retry.hidden && this.undo.hidden;
  }
}

function endOf({ messageStatus }: Message, run: Run | undefined): string {
  if (messageStatus === "CANCELLED") return "Stopped.";
  return messageStatus === "FAILED" ? (run?.error ?? "This went wrong.") : "";
}

function showLine(titleOf: (taskId: unknown) => string | undefined): View<ToolCall> {
  const element = make("li");
  element.dir = "auto";
  return {
    element,
    show(call) {
      element.className = `${call.callStatus.toLowerCase()} ${changes(call) ? "change" : ""}`;
      setText(element, describe(call, titleOf));
    },
  };
}

function showCard(
  { id }: ToolCall,
  titleOf: (taskId: unknown) => string | undefined,
  decisions: Decisions,
): View<ToolCall> {
  const text = make("p");
  text.id = `question-${id}`;
  text.dir = "auto";
  const approve = button("Approve", "danger", () => decisions.resolve(id, true));
  const keep = button("Keep", "quiet", () => decisions.resolve(id, false));
  const element = make("div", "card", text, make("div", "buttons", approve, keep));
  element.role = "group";
  element.setAttribute("aria-labelledby", text.id);
  return { element, show: (call) => setText(text, question(call, titleOf)) };
}
