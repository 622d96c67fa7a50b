/** Sends one operation over HTTP, and says what went wrong in words for people. */
import type { GraphQLFormattedError } from "graphql";

export const ENDPOINT = new URL("/graphql", location.href);

export class GraphQLFailure extends Error {
  constructor(readonly errors: readonly GraphQLFormattedError[]) {
    super(errors[0]?.message ?? "The server gave no answer. Try again.");
  }

  has(code: string): boolean {
    return this.errors.some(({ extensions }) => extensions?.["code"] === code);
  }
}

interface Answer<Data> {
  readonly data?: Data | null;
  readonly errors?: readonly GraphQLFormattedError[];
}

export async function request<Data>(query: string, variables: object, accessToken?: string): Promise<Data> {
  const response = await fetch(ENDPOINT, {
    method: "POST",
    // The cookie of the session, also where the API has another origin.
    credentials: "include",
    headers: {
      accept: "application/graphql-response+json",
      "content-type": "application/json",
      "x-auth-mode": "cookie",
      ...(accessToken !== undefined && { authorization: `Bearer ${accessToken}` }),
    },
    body: JSON.stringify({ query, variables }),
  }).catch(() => {
    throw new Error("The server cannot be reached. Try again.");
  });
  // A proxy that answers in its place may not speak JSON.
  const { data, errors } = (await response.json().catch(() => ({}))) as Answer<Data>;
  if (errors !== undefined || data === undefined || data === null) throw new GraphQLFailure(errors ?? []);
  return data;
}

/** Does what may fail, and shows why it did. */
export async function attempt(problem: HTMLElement, work: () => Promise<unknown>): Promise<void> {
  problem.textContent = "";
  try {
    await work();
  } catch (error) {
    problem.textContent = reasonOf(error);
  }
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
