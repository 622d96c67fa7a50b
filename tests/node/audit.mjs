// Prints as JSON how the GraphQL endpoint at the given address does in each of graphql-http's server audits.
import { auditServer } from "graphql-http";

const results = await auditServer({ url: process.argv[2] });
console.log(JSON.stringify(results.map(({ id, name, status, reason }) => ({ id, name, status, reason }))));
