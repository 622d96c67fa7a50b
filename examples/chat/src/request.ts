/** Sends one operation over HTTP. */
import type { GraphQLFormattedError } from "graphql";

export const ENDPOINT = new URL("/graphql", location.href);

export class GraphQLFailure extends Error {
  constructor(readonly errors: readonly GraphQLFormattedError[]) {
    super(errors[0]?.message ?? "The server gave no answer.");
  }

  has(code: string): boolean {
    return this.errors.some(({ extensions }) => extensions?.["code"] === code);
  }
}

export async function request<Data>(query: string, variables: object, accessToken?: string): Promise<Data> {
  const response = await fetch(ENDPOINT, {
    method: "POST",
    headers: {
      accept: "application/graphql-response+json",
      "content-type": "application/json",
      ...(accessToken !== undefined && { authorization: `Bearer ${accessToken}` }),
    },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await response.json()) as { data?: Data | null; errors?: GraphQLFormattedError[] };
  if (errors !== undefined || data === undefined || data === null) throw new GraphQLFailure(errors ?? []);
  return data;
}
