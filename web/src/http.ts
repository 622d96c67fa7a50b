/** Sends an operation by POST, and keeps the access token that its answer may bring; the refresh token is in a cookie. */
import type { ExecutionResult } from "graphql";
import { credentialsFor, isUnauthenticated, type Operation } from "./operation";
import { currentToken, forgetToken, keepToken, refuseToken } from "./session";

const ENDPOINT = "/graphql";
const DEFAULT_HEADERS = {
  accept: "application/graphql-response+json, application/json",
  "content-type": "application/json",
  "x-auth-mode": "cookie",
};
const REFRESH: Operation = {
  operationName: "Refresh",
  query: 'mutation Refresh { refreshSession(input: { refreshToken: "" }) { accessToken } }',
};
// Who signs in or out in one tab does so in all.
const otherTabs = new BroadcastChannel("tasktalk:session");
otherTabs.addEventListener("message", () => void restoreSession());

export async function sendOverHttp(
  operation: Operation,
  paneHeaders: Record<string, unknown> = {},
): Promise<ExecutionResult> {
  const { headers, keptToken } = credentialsFor(operation, paneHeaders);
  const result = await post(operation, headers);
  if (keptToken !== null && isUnauthenticated(result.errors) && (await replaceToken(keptToken))) {
    return post(operation, credentialsFor(operation, paneHeaders).headers);
  }
  const newToken = findAccessToken(result);
  if (newToken !== null) {
    keepToken(newToken);
    otherTabs.postMessage("changed");
  }
  return result;
}

/** Gets an access token by the cookie of the session, if there is one. */
export async function restoreSession(): Promise<void> {
  const result = await post(REFRESH, new Headers()).catch(() => null);
  const token = result === null ? currentToken() : findAccessToken(result);
  if (token === null) forgetToken();
  else keepToken(token);
}

/** Gets another access token in place of one that the server refused; says whether there is one. */
export async function replaceToken(refused: string): Promise<boolean> {
  const result = await post(REFRESH, new Headers()).catch(() => null);
  const token = result === null ? null : findAccessToken(result);
  if (token === null) refuseToken(refused);
  else keepToken(token);
  return token !== null;
}

export async function signOut(): Promise<void> {
  const operation = { operationName: "SignOut", query: "mutation SignOut { signOut { errors { message } } }" };
  try {
    await sendOverHttp(operation);
  } finally {
    forgetToken();
    otherTabs.postMessage("changed");
  }
}

async function post({ query, operationName, variables }: Operation, headers: Headers): Promise<ExecutionResult> {
  for (const [name, value] of Object.entries(DEFAULT_HEADERS)) if (!headers.has(name)) headers.set(name, value);
  const body = JSON.stringify({ query, operationName, variables });
  return readResult(await fetch(ENDPOINT, { method: "POST", headers, body }));
}

async function readResult(response: Response): Promise<ExecutionResult> {
  const text = await response.text();
  try {
    return JSON.parse(text) as ExecutionResult;
  } catch {
    throw new Error(`HTTP ${response.status} ${response.statusText}: ${text}`);
  }
}

/** Whatever the field's alias: signUp, signIn and refreshSession all answer with an object that has an accessToken. */
function findAccessToken({ data }: ExecutionResult): string | null {
  for (const payload of Object.values(data ?? {})) {
    if (isRecord(payload) && typeof payload["accessToken"] === "string") return payload["accessToken"];
  }
  return null;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
