/** Keeps a replica up to date: reads all there is, then what changes, and after a cut goes on from the cursor. */
import type { GraphQLFormattedError } from "graphql";
import { NetworkError } from "graphql-sse";
import { type Account, SignInFailure } from "./account";
import type { ChangeSet, Replica } from "./replica";
import { GraphQLFailure } from "./request";
import { type Transport, type TransportName, TRANSPORTS } from "./transports";

export type Status = "connecting" | "live" | "reconnecting";

const SHORTEST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 10_000;
const FORBIDDEN = 4403;

const FIELDS = `
  changed {
    __typename
    ... on Conversation { id title }
    ... on Message { id role content conversation { id } }
  }
  deletedIds
  cursor
  hasMore`;
const READ = `query Read($since: String) { changes(since: $since, first: 100) { ${FIELDS} } }`;
const FOLLOW = `subscription Follow($since: String) { changes(since: $since) { ${FIELDS} } }`;

interface Changes {
  readonly changes: ChangeSet;
}

export interface Listener {
  onStatus(status: Status): void;
  onChange(): void;
}

/** Follows until the signal says to stop; throws SignInFailure once the session is over. */
export async function follow(
  account: Account,
  replica: Replica,
  transport: TransportName,
  listener: Listener,
  signal: AbortSignal,
): Promise<void> {
  let failures = 0;
  const apply = (changes: ChangeSet) => {
    failures = 0;
    replica.apply(changes);
    listener.onChange();
  };
  listener.onStatus("connecting");
  while (!signal.aborted) {
    try {
      await readAll(account, replica, apply);
      if (signal.aborted) return;
      const connected = () => listener.onStatus("live");
      await subscribe(replica, TRANSPORTS[transport](account, connected), apply, signal);
    } catch (error) {
      if (error instanceof SignInFailure) throw error;
      prepareRetry(error, account, replica);
    }
    if (signal.aborted) return;
    listener.onStatus("reconnecting");
    await pause(failures++, signal);
  }
}

async function readAll(account: Account, replica: Replica, apply: (changes: ChangeSet) => void): Promise<void> {
  let hasMore = replica.cursor === null;
  while (hasMore) {
    const { changes } = await account.request<Changes>(READ, { since: replica.cursor });
    apply(changes);
    hasMore = changes.hasMore;
  }
}

async function subscribe(
  replica: Replica,
  transport: Transport,
  apply: (changes: ChangeSet) => void,
  signal: AbortSignal,
): Promise<void> {
  const results = transport.iterate({ query: FOLLOW, variables: { since: replica.cursor } });
  const stop = () => void results.return?.();
  signal.addEventListener("abort", stop);
  try {
    for (let next = await results.next(); next.done !== true; next = await results.next()) {
      const { data, errors } = next.value;
      if (errors !== undefined) throw new GraphQLFailure(errors);
      apply((data as unknown as Changes).changes);
    }
  } finally {
    signal.removeEventListener("abort", stop);
    transport.dispose();
  }
}

/** Most failures are cuts, which need nothing but another attempt. */
function prepareRetry(error: unknown, account: Account, replica: Replica): void {
  const failure = Array.isArray(error) ? new GraphQLFailure(error as GraphQLFormattedError[]) : error;
  const has = (code: string) => failure instanceof GraphQLFailure && failure.has(code);
  const closeCode = failure instanceof CloseEvent ? failure.code : null;
  const status = failure instanceof NetworkError ? (failure.response as Response | undefined)?.status : null;
  if (has("UNAUTHENTICATED") || closeCode === FORBIDDEN || status === 401) account.distrustToken();
  // Too long away: what was deleted meanwhile is no longer told, so begin anew.
  if (has("CURSOR_EXPIRED")) replica.clear();
}

function pause(failures: number, signal: AbortSignal): Promise<void> {
  const waitMs = Math.min(LONGEST_WAIT_MS, SHORTEST_WAIT_MS * 2 ** failures) * (0.5 + Math.random() / 2);
  return new Promise((resolve) => {
    setTimeout(resolve, waitMs);
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
