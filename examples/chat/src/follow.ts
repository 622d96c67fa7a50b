/** Keeps a replica up to date: reads all there is, then what changes, and after a cut goes on from the cursor. */
import type { Account } from "./account";
import type { Connection } from "./connection";
import type { Replica } from "./replica";
import { hasCode, keepTrying } from "./retry";
import { CHANGES, type ChangeSet } from "./rows";

const READ = `query Read($since: String) { changes(since: $since, first: 100) { ${CHANGES} } }`;
const FOLLOW = `subscription Follow($since: String) { changes(since: $since) { ${CHANGES} } }`;

interface Changes {
  readonly changes: ChangeSet;
}

export interface Listener {
  onChange(): void;
  onCut(): void;
}

/** Follows until the signal says to stop; throws SignInFailure once the session is over. */
export function follow(
  account: Account,
  connection: Connection,
  replica: Replica,
  listener: Listener,
  signal: AbortSignal,
): Promise<void> {
  const apply = (changes: ChangeSet) => {
    replica.apply(changes);
    listener.onChange();
  };
  return keepTrying(
    {
      async attempt(onProgress) {
        await readAll(account, replica, apply, signal);
        for await (const { changes } of connection.stream<Changes>(FOLLOW, { since: replica.cursor }, signal)) {
          apply(changes);
          onProgress();
        }
        return false;
      },
      onCut(error) {
        // Too long away: what was deleted meanwhile is no longer told, so begin anew.
        if (hasCode(error, "CURSOR_EXPIRED")) replica.clear();
        listener.onCut();
      },
    },
    account,
    signal,
  );
}

async function readAll(
  account: Account,
  replica: Replica,
  apply: (changes: ChangeSet) => void,
  signal: AbortSignal,
): Promise<void> {
  let hasMore = replica.cursor === null;
  while (hasMore && !signal.aborted) {
    const { changes } = await account.request<Changes>(READ, { since: replica.cursor });
    if (!signal.aborted) apply(changes);
    hasMore = changes.hasMore;
  }
}
