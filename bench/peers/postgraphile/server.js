// PostGraphile's own schema over our tables, served by Grafserv on Node's http, as its documentation has it.
import { createServer } from "node:http";

import { createVerifier } from "fast-jwt";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { grafserv } from "postgraphile/grafserv/node";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { PostGraphileConnectionFilterPreset } from "postgraphile-plugin-connection-filter";

const verify = createVerifier({
  key: process.env.SECRET_KEY,
  algorithms: ["HS256"],
  allowedIss: "tasktalk",
  allowedAud: "tasktalk",
  cache: 10_000,
});
const size = Number(process.env.POOL_SIZE);
const preset = {
  extends: [PostGraphileAmberPreset, PostGraphileConnectionFilterPreset],
  // Without it only what has an index can be filtered by.
  disablePlugins: ["PgIndexBehaviorsPlugin"],
  pgServices: [
    makePgService({
      connectionString: process.env.DATABASE_URL,
      schemas: ["public"],
      poolConfig: { min: size, max: size },
    }),
  ],
  grafserv: { graphqlPath: "/graphql", graphiql: false, websockets: false, watch: false },
  grafast: {
    explain: false,
    context: ({ node }) => ({ userId: verify(node.req.headers.authorization.slice("Bearer ".length)).sub }),
  },
};
const server = createServer();
await postgraphile(preset).createServ(grafserv).addTo(server);
server.listen(Number(process.env.PORT), "127.0.0.1");
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => process.exit(0));
}
