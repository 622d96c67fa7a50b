/** Starts GraphiQL. */
import { GraphiQL } from "graphiql";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { EXAMPLES, FIRST_EXAMPLE } from "./examples";
import { fetcher } from "./fetcher";
import { restoreSession } from "./http";
import { SessionBadge } from "./session-badge";
import "./style.css";
import "./workers";

const root = document.getElementById("graphiql");
if (root === null) throw new Error("index.html has no element #graphiql");

// GraphiQL fills the variables pane from storage alone: without this the first tab would open without its variables.
if (localStorage.getItem("graphiql:tabState") === null) {
  localStorage.setItem("graphiql:query", FIRST_EXAMPLE.query);
  localStorage.setItem("graphiql:variables", FIRST_EXAMPLE.variables);
}

await restoreSession();
createRoot(root).render(
  <StrictMode>
    <GraphiQL fetcher={fetcher} defaultTabs={EXAMPLES} shouldPersistHeaders defaultEditorToolsVisibility>
      <GraphiQL.Logo>
        <SessionBadge />
      </GraphiQL.Logo>
    </GraphiQL>
  </StrictMode>,
);
