/** Runs subscriptions over one socket: opened by the first, closed after the last or when the token changes. */
import type { Observable } from "@graphiql/toolkit";
import type { ExecutionResult, GraphQLError, GraphQLFormattedError } from "graphql";
import { type Client, CloseCode, createClient } from "graphql-ws";
import { replaceToken } from "./http";
import { credentialsFor, isUnauthenticated, type Operation } from "./operation";
import { currentToken, watchSession } from "./session";

interface Connection {
  readonly client: Client;
  readonly authorization: string | null;
  readonly keptToken: string | null;
}

let current: Connection | null = null;

interface Observer {
  readonly next: (result: ExecutionResult) => void;
  readonly complete: () => void;
}

export function sendOverSocket(operation: Operation, paneHeaders: Record<string, unknown>): Observable<ExecutionResult> {
  const { headers, keptToken } = credentialsFor(operation, paneHeaders);
  const { client } = connect(headers.get("authorization"), keptToken);
  const { query, operationName, variables } = operation;
  const payload = { query, operationName, variables: variables as Record<string, unknown> };
  const subscribe = (observer: Observer) => {
    const unsubscribe = client.subscribe(payload, {
      next: (result) => observer.next(result as ExecutionResult),
      complete: () => observer.complete(),
      error(reason) {
        if (keptToken !== null && isRefusal(reason)) void replaceToken(keptToken);
        observer.next({ errors: explain(reason) as GraphQLError[] });
        observer.complete();
      },
    });
    return { unsubscribe };
  };
  // Of the forms that an Observable may be subscribed to in, GraphiQL uses this one.
  return { subscribe } as unknown as Observable<ExecutionResult>;
}

function connect(authorization: string | null, keptToken: string | null): Connection {
  if (current !== null && current.authorization === authorization) return current;
  disconnect();
  const address = new URL("/graphql", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const client = createClient({
    url: address.href,
    ...(authorization !== null && { connectionParams: { Authorization: authorization } }),
    // Begun again without a cursor, a subscription would hide that something was missed.
    retryAttempts: 0,
  });
  current = { client, authorization, keptToken };
  return current;
}

function disconnect(): void {
  void current?.client.dispose();
  current = null;
}

watchSession(() => {
  if (current === null) return;
  const isFromPane = current.authorization !== null && current.keptToken === null;
  if (!isFromPane && current.keptToken !== currentToken()) disconnect();
});

function isRefusal(reason: unknown): boolean {
  if (reason instanceof CloseEvent) return reason.code === CloseCode.Forbidden;
  return Array.isArray(reason) && isUnauthenticated(reason as GraphQLFormattedError[]);
}

/** The operation's own errors, or one that says why the socket is closed. */
function explain(reason: unknown): GraphQLFormattedError[] {
  if (Array.isArray(reason)) return reason as GraphQLFormattedError[];
  if (reason instanceof CloseEvent) {
    const why = reason.reason === "" ? "the connection was lost." : reason.reason;
    return [{ message: `The socket was closed: ${why}`, extensions: { closeCode: reason.code } }];
  }
  return [{ message: reason instanceof Error ? reason.message : "The server could not be reached by a socket." }];
}
