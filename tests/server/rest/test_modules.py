"""What a module of the REST API defines is served."""

from importlib import import_module
from pkgutil import iter_modules

from fastapi import APIRouter
from fastapi.routing import APIRoute

from server import rest
from server.rest.api import describe
from tests.servers import RunningServer


def test_routes_of_each_module_of_the_rest_api_are_mounted(server: RunningServer) -> None:
    modules = [vars(import_module(found.name)) for found in iter_modules(rest.__path__, "server.rest.")]
    routers = [each for module in modules for each in module.values() if isinstance(each, APIRouter)]
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    assert routes
    described = {route.path for route in routes if route.include_in_schema}
    assert described <= describe(server.app)["paths"].keys()
    # What is for programs of others alone.
    assert {route.path for route in routes} - described == {"/api/auth/webhooks"}
