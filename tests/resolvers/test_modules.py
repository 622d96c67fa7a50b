"""What a module of resolvers or of the REST API defines is served."""

from importlib import import_module
from pkgutil import iter_modules

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

import resolvers
from server import rest
from server.graphql import schema
from server.rest.api import describe
from tests.servers import RunningServer

ROOTS = (schema.Query, schema.Mutation, schema.Subscription)


@pytest.mark.parametrize("module", [found.name for found in iter_modules(resolvers.__path__, "resolvers.")])
def test_schema_has_the_fields_of_each_module_of_resolvers(module: str) -> None:
    merged = {base for root in ROOTS for base in root.__bases__}
    own = [each for each in vars(import_module(module)).values() if getattr(each, "__module__", None) == module]
    types = [each for each in own if each.__name__.endswith(tuple(root.__name__ for root in ROOTS))]
    assert types
    assert merged.issuperset(types)


def test_routes_of_each_module_of_the_rest_api_are_mounted(server: RunningServer) -> None:
    modules = [vars(import_module(found.name)) for found in iter_modules(rest.__path__, "server.rest.")]
    routers = [each for module in modules for each in module.values() if isinstance(each, APIRouter)]
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    assert routes
    assert {route.path for route in routes} <= describe(server.app)["paths"].keys()
