import { defineConfig, loadEnv } from "vite";

// The page and the API share an origin, here as behind a proxy in production: no CORS, no ALLOWED_ORIGINS.
export default defineConfig(({ mode }) => ({
  server: {
    proxy: { "/graphql": { target: loadEnv(mode, ".", "API_")["API_URL"] ?? "http://127.0.0.1:8000", ws: true } },
  },
}));
