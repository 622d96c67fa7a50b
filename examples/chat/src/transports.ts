/** The two ways to the same subscriptions: a WebSocket, or server-sent events. */
import type { FormattedExecutionResult } from "graphql";
import { createClient as createEventClient } from "graphql-sse";
import { createClient as createSocketClient } from "graphql-ws";
import type { Account } from "./account";
import { ENDPOINT } from "./request";

export interface Transport {
  iterate(request: { query: string; variables: Record<string, unknown> }): AsyncIterator<FormattedExecutionResult>;
  dispose(): void;
}

export type TransportName = keyof typeof TRANSPORTS;
export const TRANSPORTS = { socket: overSocket, events: overEvents };

const PING_EVERY_MS = 10_000;
const PONG_WITHIN_MS = 5_000;

// Neither client retries by itself: it would begin at the old cursor again.
function overSocket(account: Account, onConnected: () => void): Transport {
  let pongIsLate = 0;
  const client = createSocketClient({
    url: ENDPOINT.href.replace("http", "ws"),
    connectionParams: async () => ({ Authorization: `Bearer ${await account.accessToken()}` }),
    retryAttempts: 0,
    keepAlive: PING_EVERY_MS,
    on: {
      connected: onConnected,
      // A connection that died in silence, as while a laptop slept, is noticed by the missing pong.
      ping: () => (pongIsLate = window.setTimeout(() => client.terminate(), PONG_WITHIN_MS)),
      pong: () => window.clearTimeout(pongIsLate),
      closed: () => window.clearTimeout(pongIsLate),
    },
  });
  return client as Transport;
}

function overEvents(account: Account, onConnected: () => void): Transport {
  return createEventClient({
    url: ENDPOINT.href,
    headers: async () => ({ Authorization: `Bearer ${await account.accessToken()}` }),
    retryAttempts: 0,
    on: { connected: onConnected },
  }) as Transport;
}
