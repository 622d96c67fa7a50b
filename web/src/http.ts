/** Sends an operation by POST, and keeps the access token that its answer may bring. */
import type { ExecutionResult } from "graphql";
import { credentialsFor, isUnauthenticated, type Operation } from "./operation";
import { keepToken, refuseToken } from "./session";

const ENDPOINT = "/graphql";
const DEFAULT_HEADERS = {
  accept: "application/graphql-response+json, application/json",
  "content-type": "application/json",
};

export async function sendOverHttp(
  operation: Operation,
  paneHeaders: Record<string, unknown> = {},
): Promise<ExecutionResult> {
  const { headers, keptToken } = credentialsFor(operation, paneHeaders);
  for (const [name, value] of Object.entries(DEFAULT_HEADERS)) if (!headers.has(name)) headers.set(name, value);
  const { query, operationName, variables } = operation;
  const body = JSON.stringify({ query, operationName, variables });
  const response = await fetch(ENDPOINT, { method: "POST", headers, body });
  const result = await readResult(response);
  const isRefused = response.status === 401 || isUnauthenticated(result.errors);
  if (keptToken !== null && isRefused) refuseToken(keptToken);
  const newToken = findAccessToken(result);
  if (newToken !== null) keepToken(newToken);
  return result;
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
