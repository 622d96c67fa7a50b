"""Pages of the links in e-mails, for servers without an app of their own: forms without script.

What looks at a link, such as a scanner of mail, only gets the form; sending it uses the link.
"""

from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from core.errors import TasktalkError
from graph.context import Runtime
from server.http.authentication import client_address, user_agent
from server.http.errors import RefusedError
from server.http.headers import get_request_headers
from server.http.rate_limit import CHANGE_COST, charge
from server.http.request_body import read_body
from services.accounts.audit import Client

_FORM: Final = "application/x-www-form-urlencoded"
_MAX_BYTES: Final = 16 * 1024
_STYLE: Final = (
    ":root{color-scheme:light dark}body{font:1.1rem/1.5 system-ui,sans-serif;max-width:26rem;margin:15vh auto;"
    "padding:0 1rem}label,input,button{display:block;font:inherit;margin:.5rem 0}"
    "input,button{box-sizing:border-box;width:100%;padding:.6rem}"
)
_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; "
    f"style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    # The address of the page holds the token.
    "referrer-policy": "no-referrer",
}
_NEW: Final = (
    "<label>New password, at least 8 characters"
    '<input type="password" name="password" required minlength="8" autocomplete="new-password"></label>'
)
_VERIFY, _RESET = "/verify-email", "/reset-password"
_TITLES: Final = {_VERIFY: "Verify your email address", _RESET: "Set a new password"}
_DONE: Final = {_VERIFY: "The address is verified.", _RESET: "The password is set; sign in with it."}


async def _show(request: Request) -> Response:
    path = request.url.path
    return _form(path, request.query_params.get("token", ""))


async def _use(request: Request) -> Response:
    runtime: Runtime = request.app.state.runtime
    scope, path = request.scope, request.url.path
    client = Client(client_address(scope), user_agent(scope))
    token = ""
    try:
        await charge(runtime, None, client.address, CHANGE_COST)
        body = await read_body(get_request_headers(scope).values, request.receive, _MAX_BYTES, _FORM)
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=2)
        token, password = (fields.get(name, [""])[0] for name in ("token", "password"))
        if path == _VERIFY:
            await runtime.emails.verify(token, client)
        else:
            await runtime.emails.reset_password(token, password, client)
    except TasktalkError as error:
        return _form(path, token, error.message, 422)
    except RefusedError as error:
        return _form(path, token, error.errors[0]["message"], error.status)
    except ValueError:
        return _form(path, token, "The form has too many fields.", 400)
    return _page(path, f"<p>{_DONE[path]}</p>")


def _form(path: str, token: str, problem: str = "", status: int = 200) -> Response:
    password = _NEW if path == _RESET else ""
    told = f'<p role="alert">{escape(problem)}</p>' if problem else ""
    hidden = f'<input type="hidden" name="token" value="{escape(token)}">'
    form = f'<form method="post" action="{path.lstrip("/")}">{hidden}{password}<button>{_TITLES[path]}</button></form>'
    return _page(path, told + form, status)


def _page(path: str, content: str, status: int = 200) -> Response:
    title = _TITLES[path]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    page = f'<!doctype html><html lang="en"><head>{head}<style>{_STYLE}</style></head><body><h1>{title}</h1>{content}'
    return HTMLResponse(f"{page}</body></html>", status, _HEADERS)


LINK_ROUTES: Final = [
    route for path in _TITLES for route in (Route(path, _show, methods=["GET"]), Route(path, _use, methods=["POST"]))
]
