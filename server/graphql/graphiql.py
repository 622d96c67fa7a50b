"""The GraphiQL page: the build in web/dist or, where there is none, one that loads GraphiQL from a CDN."""

from pathlib import Path
from typing import Final

from starlette.responses import Response
from starlette.routing import Mount

from server.http.pages import HashedFiles, Page


class GraphiQL:
    """`page()` answers a browser's GET /graphql; `routes` serve the files that the built page loads."""

    def __init__(self, dist: Path) -> None:
        self._page = Page(dist, _CDN_PAGE)
        self.routes: list[Mount] = []
        if self._page.is_built:
            self.routes.append(Mount("/graphiql/assets", HashedFiles(directory=dist / "assets"), name="graphiql"))

    def page(self) -> Response:
        """Return the built page, or the one from the CDN."""
        return self._page.answer()


_CDN_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tasktalk GraphiQL</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" crossorigin href="https://unpkg.com/graphiql@3.9.0/graphiql.min.css"
  integrity="sha384-QMux00XgRtwRLSYIY3kw2rj1ovk5AuuliAchk+HSQbqdbGFnz9GYuqIlOqxhwCE2">
<style>body { margin: 0 } #graphiql { height: 100vh }</style>
</head>
<body>
<div id="graphiql">Loading GraphiQL from unpkg.com. Without a network: npm ci &amp;&amp; npm run build in web/.</div>
<script nonce="{nonce}" crossorigin src="https://unpkg.com/react@18.3.1/umd/react.production.min.js"
  integrity="sha384-DGyLxAyjq0f9SPpVevD6IgztCFlnMF6oW/XQGmfe+IsZ8TqEiDrcHkMLKI6fiB/Z"></script>
<script nonce="{nonce}" crossorigin src="https://unpkg.com/react-dom@18.3.1/umd/react-dom.production.min.js"
  integrity="sha384-gTGxhz21lVGYNMcdJOyq01Edg0jhn/c22nsx0kyqP0TxaV5WVdsSH1fSDUf5YJj1"></script>
<script nonce="{nonce}" crossorigin src="https://unpkg.com/graphiql@3.9.0/graphiql.min.js"
  integrity="sha384-8NGfVj4CVlqHajlZj+bPJT4thxPMHMJYn7DWK2CvtopLd02E7qsPHazniBYvVjOO"></script>
<script nonce="{nonce}">
const TOKEN = "tasktalk:accessToken";

async function fetcher(operation, options) {
  const headers = new Headers({
    "accept": "application/graphql-response+json, application/json",
    "content-type": "application/json",
  });
  const token = localStorage.getItem(TOKEN);
  if (token && operation.operationName !== "IntrospectionQuery") headers.set("authorization", `Bearer ${token}`);
  for (const [name, value] of Object.entries(options?.headers ?? {})) headers.set(name, value);
  const response = await fetch("/graphql", { method: "POST", headers, body: JSON.stringify(operation) });
  if (response.status === 401) localStorage.removeItem(TOKEN);
  const result = await response.json();
  for (const payload of Object.values(result.data ?? {})) {
    if (payload?.accessToken) localStorage.setItem(TOKEN, payload.accessToken);
  }
  return result;
}

const SIGN_UP = `# The access token in the answer is kept and goes with every later request.
mutation SignUp {
  signUp(input: { email: "you@example.com", password: "correct horse battery staple", name: "You" }) {
    accessToken
    errors { code message path }
  }
}`;
const CREATE_TASK = `mutation CreateTask {
  createTask(input: { title: "Water the plants", priority: HIGH }) {
    task { id title priority }
    errors { code message path }
  }
}`;
const LIST_TASKS = `query ListTasks {
  tasks(first: 20) { totalCount nodes { id title priority completed } }
}`;

ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    fetcher,
    defaultTabs: [SIGN_UP, CREATE_TASK, LIST_TASKS].map((query) => ({ query })),
    defaultEditorToolsVisibility: true,
    shouldPersistHeaders: true,
  }),
);
</script>
</body>
</html>
"""
