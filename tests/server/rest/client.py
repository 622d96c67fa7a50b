"""A client of the REST api, for one user or for nobody."""

import json
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.factories import SignedIn


@dataclass(frozen=True, slots=True)
class RestClient:
    http: httpx2.AsyncClient
    user: SignedIn | None = None

    def as_(self, user: SignedIn) -> "RestClient":
        return RestClient(self.http, user)

    async def send(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, **query: Any
    ) -> httpx2.Response:
        sent = {**(self.user.headers if self.user else {}), **(headers or {})}
        response = await self.http.request(method, f"/api{path}", json=body, headers=sent, params=query)
        is_fine = response.status_code < httpx2.codes.BAD_REQUEST
        assert response.headers["cache-control"] == "no-store"
        assert "Authorization" in response.headers["vary"]
        if response.status_code != httpx2.codes.NO_CONTENT:
            assert response.headers["content-type"] == ("application/json" if is_fine else "application/problem+json")
        return response

    async def ok(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        response = await self.send(method, path, body, **more)
        assert response.is_success, response.text
        return response.json() if response.content else None

    async def problem(self, method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
        response = await self.send(method, path, body, **more)
        return problem_of(response)


def problem_of(response: httpx2.Response) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json", response.text
    problem: dict[str, Any] = json.loads(response.content)
    assert problem["status"] == response.status_code
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert problem["detail"]
    return problem


def refusal(problem: dict[str, Any]) -> tuple[int, str, str | None]:
    """Return the status, the code and the place of a problem that names one place at most."""
    (error,) = problem.get("errors") or [{}]
    places = [value for name, value in error.items() if name != "detail"]
    return problem["status"], problem["code"], places[0] if places else None
