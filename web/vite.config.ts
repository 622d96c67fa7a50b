import { defineConfig } from "vite";

export default defineConfig({
  base: "/graphiql/",
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    // Monaco is one large lazy chunk by nature; the page comes from the developer's own machine.
    chunkSizeWarningLimit: 4000,
    // Dependencies carry "use client" and the like for other bundlers; a warning for each buries the real ones.
    rolldownOptions: { checks: { moduleLevelDirective: false } },
  },
  worker: { format: "es" },
});
