// A Better Auth server on PostgreSQL, as a Next.js app has one; it makes its tables, and says when it is ready.
import { createServer } from "node:http";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { jwt } from "better-auth/plugins";
import pg from "pg";

const { database, port, ids } = JSON.parse(process.argv[2]);
const options = {
  baseURL: `http://127.0.0.1:${port}`,
  secret: "a secret that signs only the sessions of tests",
  database: new pg.Pool({ connectionString: database }),
  advanced: { database: { generateId: ids } },
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  user: { deleteUser: { enabled: true } },
  plugins: [jwt()],
};
const { runMigrations } = await getMigrations(options);
await runMigrations();
createServer(toNodeHandler(betterAuth(options))).listen(port, "127.0.0.1", () => console.log("ready"));
