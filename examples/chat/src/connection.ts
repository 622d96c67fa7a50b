/** The line on which subscriptions come: one socket for all of them or, with ?over=events, an event stream for each. */
import type { FormattedExecutionResult } from "graphql";
import { createClient as createEventClient } from "graphql-sse";
import { createClient as createSocketClient } from "graphql-ws";
import type { Account } from "./account";
import { ENDPOINT, GraphQLFailure } from "./request";

type Variables = Record<string, unknown>;

interface Client {
  iterate(request: { query: string; variables: Variables }): AsyncIterableIterator<FormattedExecutionResult>;
}

const PING_EVERY_MS = 10_000;
const PONG_WITHIN_MS = 5_000;

// Neither client retries by itself: it would begin at the old cursor again.
export class Connection {
  private readonly client: Client;
  private isOpen = false;

  constructor(
    private readonly account: Account,
    private readonly onOpen: () => void,
  ) {
    this.client = new URLSearchParams(location.search).get("over") === "events" ? this.events() : this.socket();
  }

  /** The results of a subscription as they come, until it ends or the signal says to stop. */
  async *stream<Data>(query: string, variables: Variables, signal: AbortSignal): AsyncGenerator<Data> {
    if (signal.aborted) return;
    if (this.isOpen) this.onOpen();
    const results = this.client.iterate({ query, variables });
    const stop = () => void results.return?.();
    signal.addEventListener("abort", stop);
    try {
      for await (const { data, errors } of results) {
        if (errors !== undefined) throw new GraphQLFailure(errors);
        yield data as Data;
      }
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  private socket(): Client {
    let pongIsLate = 0;
    const client = createSocketClient({
      url: ENDPOINT.href.replace("http", "ws"),
      connectionParams: async () => ({ Authorization: `Bearer ${await this.account.accessToken()}` }),
      retryAttempts: 0,
      keepAlive: PING_EVERY_MS,
      on: {
        connected: () => {
          this.isOpen = true;
          this.onOpen();
        },
        // A connection that died in silence, as while a laptop slept, is noticed by the missing pong.
        ping: () => (pongIsLate = window.setTimeout(() => client.terminate(), PONG_WITHIN_MS)),
        pong: () => window.clearTimeout(pongIsLate),
        closed: () => {
          this.isOpen = false;
          window.clearTimeout(pongIsLate);
        },
      },
    });
    return client as Client;
  }

  private events(): Client {
    return createEventClient({
      url: ENDPOINT.href,
      headers: async () => ({ Authorization: `Bearer ${await this.account.accessToken()}` }),
      retryAttempts: 0,
      on: { connected: () => this.onOpen() },
    }) as Client;
  }
}
