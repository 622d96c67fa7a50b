// Asks the same query three times with Apollo Client or urql, by automatic persisted queries, and prints as JSON what
// was answered and what was sent: the method, and whether the query was in it.
import { createHash } from "node:crypto";
import { ApolloClient, HttpLink, InMemoryCache } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { Client, fetchExchange } from "@urql/core";
import { persistedExchange } from "@urql/exchange-persisted";
import { parse } from "graphql";

const { library, url, get, query } = JSON.parse(process.argv[2]);
const sent = [];
const noting = (address, options) => {
  const given = options.body ? JSON.parse(options.body) : Object.fromEntries(new URL(address).searchParams);
  sent.push(`${options.method} ${given.query ? "query" : "hash"}`);
  return fetch(address, options);
};

function apollo() {
  const sha256 = (text) => createHash("sha256").update(text).digest("hex");
  const persisted = new PersistedQueryLink({ sha256, useGETForHashedQueries: get });
  const link = persisted.concat(new HttpLink({ uri: url, fetch: noting }));
  const client = new ApolloClient({ cache: new InMemoryCache(), link });
  return () => client.query({ query: parse(query), fetchPolicy: "network-only" });
}

function urql() {
  const persisted = persistedExchange({ preferGetForPersistedQueries: get && "force" });
  const client = new Client({ url, fetch: noting, exchanges: [persisted, fetchExchange], preferGetMethod: false });
  return () => client.query(query, {}).toPromise();
}

const ask = { apollo, urql }[library]();
const answers = [];
for (let times = 0; times < 3; times++) {
  const { data, error } = await ask();
  answers.push(error ? String(error) : data.hello);
}
console.log(JSON.stringify({ answers, sent }));
