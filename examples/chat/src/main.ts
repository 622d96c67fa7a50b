/** The page: signs somebody in, or goes on with who is signed in, and opens their chat. */
import { Account, type Credentials } from "./account";
import { Chat } from "./chat";
import { element } from "./elements";
import { attempt, reasonOf } from "./request";
import "./style.css";

const signInForm = element("#sign-in", HTMLFormElement);
const problem = element("#sign-in .problem", HTMLElement);
const chat = element("#chat", HTMLElement);

signInForm.addEventListener("submit", (event) => {
  event.preventDefault();
  const credentials = Object.fromEntries(new FormData(signInForm)) as unknown as Credentials;
  const isNew = event.submitter instanceof HTMLButtonElement && event.submitter.value === "signUp";
  void attempt(problem, async () => {
    const account = await (isNew ? Account.signUp(credentials) : Account.signIn(credentials));
    signInForm.reset();
    enter(account);
  });
});

Account.restore().then((account) => (account === null ? showSignIn() : enter(account)), showSignIn);

function enter(account: Account): void {
  signInForm.hidden = true;
  chat.hidden = false;
  new Chat(account, showSignIn).open();
}

function showSignIn(error?: unknown): void {
  chat.hidden = true;
  signInForm.hidden = false;
  problem.textContent = error === undefined ? "" : reasonOf(error);
}
