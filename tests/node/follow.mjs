// Follows a subscription with graphql-ws or graphql-sse, and prints each event as a line of JSON. Wherever it is cut
// off, the library connects again by itself; the variable named `cursor` then says where to go on.
import { createClient as createSocketClient } from "graphql-ws";
import { createClient as createEventClient } from "graphql-sse";
import WebSocket from "ws";

const { transport, url, token, query, variables, field } = JSON.parse(process.argv[2]);
const wait = () => new Promise((resolve) => setTimeout(resolve, 20));
const authorization = { Authorization: `Bearer ${token}` };
const client =
  transport === "graphql-ws"
    ? createSocketClient({
        url: url.replace("http", "ws"),
        retryAttempts: 1_000,
        retryWait: wait,
        webSocketImpl: WebSocket,
        connectionParams: authorization,
        shouldRetry: () => true,
      })
    : createEventClient({ url, headers: authorization, retryAttempts: 1_000, retry: wait });
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

client.subscribe(
  { query, variables },
  {
    next: (result) => {
      // The library sends the same request again after a cut, so that is where the cursor must be.
      if (result.data) variables.cursor = result.data[field].cursor;
      print(result);
    },
    error: (error) => print({ failed: Array.isArray(error) ? error : String(error.reason ?? error) }),
    complete: () => print({ complete: true }),
  },
);
