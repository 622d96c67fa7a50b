/** The page: signs in, shows the conversations and the messages of one of them as they come, and sends new ones. */
import { Account, type Credentials } from "./account";
import { follow, type Status } from "./follow";
import { type Conversation, Replica } from "./replica";
import type { TransportName } from "./transports";
import "./style.css";

const signInForm = element("#sign-in", HTMLFormElement);
const signInProblem = element("#sign-in .problem", HTMLElement);
const talk = element("#talk", HTMLElement);
const statusText = element("#status", HTMLOutputElement);
const transport = element("#transport", HTMLSelectElement);
const signOutButton = element("#sign-out", HTMLButtonElement);
const conversationList = element("#conversations", HTMLUListElement);
const createForm = element("#create", HTMLFormElement);
const messageList = element("#messages", HTMLOListElement);
const writeForm = element("#write", HTMLFormElement);
const writeProblem = element("#talk .problem", HTMLElement);

const CREATE = `mutation Create($input: CreateConversationInput!) {
  created: createConversation(input: $input) { conversation { __typename id title } errors { message } }
}`;
const WRITE = `mutation Write($input: AddMessageInput!) {
  written: addMessage(input: $input) { errors { message } }
}`;

interface Problems {
  readonly errors: readonly { readonly message: string }[];
}

signInForm.addEventListener("submit", (event) => {
  event.preventDefault();
  const credentials = Object.fromEntries(new FormData(signInForm)) as unknown as Credentials;
  const isNew = event.submitter instanceof HTMLButtonElement && event.submitter.value === "signUp";
  void attempt(signInProblem, async () => {
    const account = await (isNew ? Account.signUp(credentials) : Account.signIn(credentials));
    signInForm.reset();
    new Talk(account).open();
  });
});

/** What somebody sees while they are signed in. */
class Talk {
  private readonly replica = new Replica();
  private readonly closing = new AbortController();
  private following = new AbortController();
  private chosenId: string | null = null;
  /** Sent again with its key, a message whose answer was lost is not stored twice. */
  private messageKey = crypto.randomUUID();

  constructor(private readonly account: Account) {}

  open(): void {
    this.on(transport, "change", () => this.follow());
    this.on(createForm, "submit", (event) => this.create(event));
    this.on(writeForm, "submit", (event) => this.write(event));
    this.on(writeForm, "input", () => (this.messageKey = crypto.randomUUID()));
    this.on(signOutButton, "click", () => this.signOut());
    signInForm.hidden = true;
    talk.hidden = false;
    this.choose(null);
    this.follow();
  }

  private close(problem = ""): void {
    this.closing.abort();
    this.following.abort();
    talk.hidden = true;
    signInForm.hidden = false;
    signInProblem.textContent = problem;
  }

  private on(target: EventTarget, type: string, handle: (event: Event) => void): void {
    target.addEventListener(type, handle, { signal: this.closing.signal });
  }

  private follow(): void {
    this.following.abort();
    this.following = new AbortController();
    const { signal } = this.following;
    const listener = {
      onStatus: (status: Status) => signal.aborted || (statusText.value = statusText.className = status),
      onChange: () => signal.aborted || this.show(),
    };
    follow(this.account, this.replica, transport.value as TransportName, listener, signal).catch((error: unknown) =>
      this.close(reasonOf(error)),
    );
  }

  private show(): void {
    if (this.chosenId !== null && !this.replica.conversations.has(this.chosenId)) this.choose(null);
    this.showConversations();
    this.showMessages();
  }

  private showConversations(): void {
    const buttons = [...this.replica.conversations.values()].reverse().map(({ id, title }) => {
      const button = document.createElement("button");
      button.textContent = title;
      button.ariaCurrent = String(id === this.chosenId);
      button.addEventListener("click", () => this.choose(id));
      return button;
    });
    conversationList.replaceChildren(...buttons.map((button) => wrap("li", button)));
  }

  private showMessages(): void {
    if (this.chosenId === null) return;
    const messages = this.replica.messagesOf(this.chosenId);
    for (const { role, content } of messages.slice(messageList.childElementCount)) {
      const item = wrap("li", content);
      item.className = role.toLowerCase();
      messageList.append(item);
      item.scrollIntoView({ block: "end" });
    }
  }

  private choose(id: string | null): void {
    this.chosenId = id;
    this.messageKey = crypto.randomUUID();
    messageList.replaceChildren();
    writeProblem.textContent = "";
    writeForm.hidden = id === null;
    this.showConversations();
    this.showMessages();
  }

  private create(event: Event): void {
    event.preventDefault();
    void attempt(writeProblem, async () => {
      type Created = { created: Problems & { conversation: Conversation | null } };
      const { created } = await this.account.request<Created>(CREATE, { input: valuesOf(createForm) });
      refuse(created);
      createForm.reset();
      if (created.conversation === null) return;
      this.replica.add(created.conversation);
      this.choose(created.conversation.id);
    });
  }

  private write(event: Event): void {
    event.preventDefault();
    const input = { ...valuesOf(writeForm), conversationId: this.chosenId, idempotencyKey: this.messageKey };
    void attempt(writeProblem, async () => {
      refuse((await this.account.request<{ written: Problems }>(WRITE, { input })).written);
      writeForm.reset();
      this.messageKey = crypto.randomUUID();
    });
  }

  private signOut(): void {
    this.account.signOut().catch(() => undefined);
    this.close();
  }
}

async function attempt(problem: HTMLElement, work: () => Promise<void>): Promise<void> {
  problem.textContent = "";
  try {
    await work();
  } catch (error) {
    problem.textContent = reasonOf(error);
  }
}

/** fetch says no more than TypeError when there is no server to be reached. */
function reasonOf(error: unknown): string {
  if (error instanceof TypeError) return "The server cannot be reached. Try again.";
  return error instanceof Error ? error.message : String(error);
}

function refuse({ errors: [problem] }: Problems): void {
  if (problem !== undefined) throw new Error(problem.message);
}

function valuesOf(form: HTMLFormElement): Record<string, unknown> {
  return Object.fromEntries(new FormData(form));
}

function wrap(tag: string, content: string | Node): HTMLElement {
  const wrapper = document.createElement(tag);
  wrapper.append(content);
  return wrapper;
}

function element<E extends Element>(selector: string, type: new () => E): E {
  const found = document.querySelector(selector);
  if (!(found instanceof type)) throw new Error(`index.html has no ${selector}`);
  return found;
}
