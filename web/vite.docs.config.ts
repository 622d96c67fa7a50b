import { defineConfig } from "vite";

/** The page of the REST API, which is there in production too, and so is built apart from GraphiQL. */
export default defineConfig({
  root: "docs",
  base: "/docs/",
  logLevel: "warn",
  build: {
    outDir: "../dist/docs",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 4000,
  },
});
