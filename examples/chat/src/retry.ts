/** Goes on after a cut, more patiently each time. */
import type { GraphQLFormattedError } from "graphql";
import { NetworkError } from "graphql-sse";
import type { Account } from "./account";
import { SignInFailure } from "./account";
import { GraphQLFailure } from "./request";

const SHORTEST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 10_000;
const FORBIDDEN = 4403;

export interface Work {
  /** Works until it is done (true) or cut off (false, or thrown); tells of each step that was made. */
  attempt(onProgress: () => void): Promise<boolean>;
  onCut?(error: unknown): void;
}

/** Attempts until the work is done or the signal says to stop; throws SignInFailure once the session is over. */
export async function keepTrying(work: Work, account: Account, signal: AbortSignal): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    let failure: unknown;
    try {
      if (await work.attempt(() => (failures = 0))) return;
    } catch (error) {
      if (error instanceof SignInFailure) throw error;
      failure = error;
      if (isRefusal(error)) account.distrustToken();
    }
    if (signal.aborted) return;
    console.warn("Cut off; going on soon.", failure);
    work.onCut?.(failure);
    await pause(failures++, signal);
  }
}

/** Whether the server gave this code for the failure; the socket's client throws bare arrays of errors. */
export function hasCode(error: unknown, code: string): boolean {
  const failure = Array.isArray(error) ? new GraphQLFailure(error as GraphQLFormattedError[]) : error;
  return failure instanceof GraphQLFailure && failure.has(code);
}

function isRefusal(error: unknown): boolean {
  if (error instanceof CloseEvent) return error.code === FORBIDDEN;
  if (error instanceof NetworkError) return (error.response as Response | undefined)?.status === 401;
  return hasCode(error, "UNAUTHENTICATED");
}

function pause(failures: number, signal: AbortSignal): Promise<void> {
  const waitMs = Math.min(LONGEST_WAIT_MS, SHORTEST_WAIT_MS * 2 ** failures) * (0.5 + Math.random() / 2);
  return new Promise((resolve) => {
    setTimeout(resolve, waitMs);
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
