"""The REST route of webhooks, by which an identity provider tells of users that it has changed or deleted."""

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request

from server.http.errors import refuse
from server.http.headers import get_request_headers
from server.http.request_body import parse_json, read_body
from server.rest.route import Anyone, RestRoute
from services.accounts.webhooks import receive_webhook, verify_webhook

router: Final = APIRouter(prefix="/api/auth", route_class=RestRoute)


@router.post("/webhooks", status_code=204, include_in_schema=False)
async def receive(context: Anyone, request: Request) -> None:
    """Carry out what a webhook says that is signed with AUTH_WEBHOOK_SECRET; not there without it."""
    settings = context.runtime.settings
    if settings.auth_webhook_secret is None:
        raise refuse(404, "There are no webhooks here; AUTH_WEBHOOK_SECRET is not set.", code="NOT_FOUND")
    headers = get_request_headers(request.scope).values
    body = await read_body(headers, request.receive, settings.graphql_max_body_bytes)
    sent_at = verify_webhook(settings.auth_webhook_secret, headers, body)
    await receive_webhook(context.runtime.authenticator, parse_json(body), sent_at)
