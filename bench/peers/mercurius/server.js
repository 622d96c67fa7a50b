// Mercurius with its JIT, loaders and a pool of `pg`, as its documentation has it.
import fastifyJwt from "@fastify/jwt";
import Fastify from "fastify";
import mercurius from "mercurius";
import pg from "pg";

import { loaders, resolvers, schema } from "./schema.js";

const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  min: Number(process.env.POOL_SIZE),
  max: Number(process.env.POOL_SIZE),
});
const app = Fastify();
await app.register(fastifyJwt, {
  secret: process.env.SECRET_KEY,
  verify: { allowedIss: "tasktalk", allowedAud: "tasktalk", cache: 10_000 },
});
await app.register(mercurius, {
  schema,
  resolvers,
  loaders,
  jit: 1,
  context: async (request) => {
    await request.jwtVerify();
    return { userId: request.user.sub, pool };
  },
});
await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => process.exit(0));
}
