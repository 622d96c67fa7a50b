/** What somebody sees while they are signed in: their conversations, the one they are in, and their tasks. */
import type { Account } from "./account";
import { Actions } from "./actions";
import { Connection } from "./connection";
import { button, element, List, make, setText, type View } from "./elements";
import { follow } from "./follow";
import { Messages } from "./messages";
import { Replica } from "./replica";
import { followReply } from "./reply";
import { attempt } from "./request";
import type { Conversation, Message, Run } from "./rows";
import { Tasks } from "./tasks";

const statusText = element("#status", HTMLOutputElement);
const signOutButton = element("#sign-out", HTMLButtonElement);
const conversationList = element("#conversations", HTMLUListElement);
const newButton = element("#new", HTMLButtonElement);
const heading = element("#heading", HTMLElement);
const log = element("#log", HTMLElement);
const greeting = element("#greeting", HTMLElement);
const messageList = element("#messages", HTMLOListElement);
const problem = element("#chat .problem", HTMLElement);
const writeForm = element("#write", HTMLFormElement);
const field = element("#write textarea", HTMLTextAreaElement);
const sendButton = element("#send", HTMLButtonElement);
const stopButton = element("#stop", HTMLButtonElement);
const taskList = element("#tasks", HTMLUListElement);
const taskCount = element("#task-count", HTMLElement);
const addForm = element("#add", HTMLFormElement);

const ACTIVE: readonly Run["runStatus"][] = ["QUEUED", "RUNNING", "AWAITING_APPROVAL"];
/** So near its end, the log is kept there while it grows. */
const NEAR_END_PX = 80;

export class Chat {
  private readonly replica = new Replica();
  private readonly closing = new AbortController();
  private readonly actions: Actions;
  private readonly connection: Connection;
  private readonly conversations: List<Conversation>;
  private readonly messages: Messages;
  private readonly tasks: Tasks;
  private chosenId: string | null = null;
  private following = new AbortController();
  private followedId: string | null = null;
  private written = "";
  /** Sent again with its key, a message or a task whose answer was lost is not stored twice. */
  private messageKey = crypto.randomUUID();
  private taskKey = crypto.randomUUID();

  constructor(
    private readonly account: Account,
    private readonly onClose: (error?: unknown) => void,
  ) {
    this.actions = new Actions(account, this.replica);
    this.connection = new Connection(account, () => this.showStatus("live"));
    this.conversations = new List(conversationList, ({ id }) => this.conversationView(id));
    this.messages = new Messages(messageList, this.replica, {
      resolve: (callId, approve) => {
        this.do(() => this.actions.resolve(callId, approve));
        field.focus();
      },
      undo: (runId) => this.do(() => this.actions.undo(runId)),
      retry: (messageId) => this.do(() => this.actions.retry(messageId)),
    });
    this.tasks = new Tasks(taskList, taskCount, (id, completed) =>
      this.do(() => this.actions.completeTask(id, completed)),
    );
  }

  open(): void {
    this.on(newButton, "click", () => this.choose(null));
    this.on(writeForm, "submit", () => this.send());
    this.on(field, "input", () => (this.messageKey = crypto.randomUUID()));
    this.on(field, "keydown", (event) => this.sendByKey(event as KeyboardEvent));
    this.on(greeting, "click", (event) => this.suggest(event.target));
    this.on(stopButton, "click", () => this.stop());
    this.on(addForm, "submit", () => this.addTask());
    this.on(addForm, "input", () => (this.taskKey = crypto.randomUUID()));
    this.on(signOutButton, "click", () => this.signOut());
    this.showStatus("connecting");
    this.choose(null);
    const listener = { onChange: () => this.show(), onCut: () => this.showStatus("reconnecting") };
    const { signal } = this.closing;
    follow(this.account, this.connection, this.replica, listener, signal).catch((error: unknown) => this.close(error));
  }

  private close(error?: unknown): void {
    this.closing.abort();
    this.following.abort();
    this.onClose(error);
  }

  private on(target: EventTarget, type: string, handle: (event: Event) => void): void {
    const { signal } = this.closing;
    target.addEventListener(
      type,
      (event) => {
        if (type === "submit") event.preventDefault();
        handle(event);
      },
      { signal },
    );
  }

  private do(work: () => Promise<unknown>): void {
    void attempt(problem, work).then(() => this.closing.signal.aborted || this.show());
  }

  private showStatus(status: "connecting" | "live" | "reconnecting"): void {
    if (!this.closing.signal.aborted) statusText.value = statusText.className = status;
  }

  private show(): void {
    if (this.chosenId !== null && !this.replica.has(this.chosenId)) this.choose(null);
    const messages = this.chosenId === null ? [] : this.replica.messagesOf(this.chosenId);
    const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END_PX;
    this.followReply(messages);
    this.conversations.show(this.replica.conversations());
    this.messages.show(messages, this.written);
    this.tasks.show(this.replica.tasks());
    setText(heading, this.replica.conversation(this.chosenId)?.title ?? "New conversation");
    greeting.hidden = this.chosenId !== null;
    stopButton.hidden = this.activeRun() === undefined;
    sendButton.hidden = !stopButton.hidden;
    if (isAtEnd) log.scrollTop = log.scrollHeight;
  }

  /** The reply that is being written comes by a subscription of its own, for as long as that takes. */
  private followReply(messages: readonly Message[]): void {
    const id = messages.find(({ messageStatus }) => messageStatus === "STREAMING")?.id ?? null;
    if (id === this.followedId) return;
    this.following.abort();
    this.followedId = id;
    this.written = "";
    if (id === null) return;
    this.following = new AbortController();
    const { signal } = this.following;
    const onText = (text: string) => {
      if (signal.aborted) return;
      this.written = text;
      this.show();
    };
    // A session that is over is noticed by whoever follows the changes.
    followReply(this.account, this.connection, id, onText, signal).catch(() => undefined);
  }

  private activeRun(): Run | undefined {
    if (this.chosenId === null) return undefined;
    const runs = this.replica.messagesOf(this.chosenId).map((message) => this.replica.runOf(message));
    return runs.find((run) => run !== undefined && ACTIVE.includes(run.runStatus));
  }

  private conversationView(id: string): View<Conversation> {
    const choose = button("", "quiet", () => this.choose(id));
    choose.dir = "auto";
    const show = ({ title }: Conversation) => {
      setText(choose, title);
      choose.ariaCurrent = String(id === this.chosenId);
    };
    return { element: make("li", "", choose), show };
  }

  private choose(id: string | null): void {
    this.chosenId = id;
    this.messageKey = crypto.randomUUID();
    problem.textContent = "";
    this.show();
    log.scrollTop = log.scrollHeight;
    field.focus();
  }

  private sendByKey(event: KeyboardEvent): void {
    // While a word is being composed, Enter ends the word.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.send();
  }

  private suggest(target: EventTarget | null): void {
    if (!(target instanceof HTMLButtonElement)) return;
    field.value = target.textContent ?? "";
    this.messageKey = crypto.randomUUID();
    this.send();
  }

  private send(): void {
    const content = field.value;
    const conversationId = this.chosenId;
    if (content.trim() === "" || sendButton.disabled || sendButton.hidden) return;
    sendButton.disabled = true;
    this.do(async () => {
      try {
        const id = await this.actions.send(content, conversationId, this.messageKey);
        if (field.value === content) field.value = "";
        this.messageKey = crypto.randomUUID();
        if (this.chosenId === conversationId && id !== conversationId) this.choose(id);
        log.scrollTop = log.scrollHeight;
      } finally {
        sendButton.disabled = false;
      }
    });
  }

  private stop(): void {
    const run = this.activeRun();
    if (run !== undefined) this.do(() => this.actions.cancel(run.id));
    field.focus();
  }

  private addTask(): void {
    const title = String(new FormData(addForm).get("title"));
    this.do(async () => {
      await this.actions.addTask(title, this.taskKey);
      addForm.reset();
      this.taskKey = crypto.randomUUID();
    });
  }

  private signOut(): void {
    this.account.signOut().catch(() => undefined);
    this.close();
  }
}
