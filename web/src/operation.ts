/** What HTTP and sockets share: the operation, the headers that go with it, and what a refusal looks like. */
import { currentToken } from "./session";

export interface Operation {
  readonly query: string;
  readonly operationName?: string | null | undefined;
  readonly variables?: unknown;
}

/** The headers of an operation, and the kept token if that is what they carry: the headers pane goes before it. */
export interface Credentials {
  readonly headers: Headers;
  readonly keptToken: string | null;
}

export function credentialsFor(operation: Operation, paneHeaders: Record<string, unknown>): Credentials {
  const token = isIntrospection(operation) ? null : currentToken();
  const headers = new Headers();
  if (token !== null) headers.set("authorization", bearer(token));
  for (const [name, value] of Object.entries(paneHeaders)) headers.set(name, String(value));
  const isKept = token !== null && headers.get("authorization") === bearer(token);
  return { headers, keptToken: isKept ? token : null };
}

// The schema is the same for everybody, and must load even when the kept token has expired.
function isIntrospection({ operationName }: Operation): boolean {
  return operationName === "IntrospectionQuery";
}

function bearer(token: string): string {
  return `Bearer ${token}`;
}

interface CodedError {
  readonly extensions?: Readonly<Record<string, unknown>>;
}

export function isUnauthenticated(errors: readonly CodedError[] | undefined): boolean {
  return errors?.some(({ extensions }) => extensions?.["code"] === "UNAUTHENTICATED") === true;
}
