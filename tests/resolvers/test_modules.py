"""What a module of resolvers or of the REST API defines is served."""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest
from fastapi import APIRouter

import resolvers
from server import rest
from server.graphql import schema
from server.rest.api import describe
from tests.servers import RunningServer

ROOTS = (schema.Query, schema.Mutation, schema.Subscription)


def defined(module: str, kind: type) -> list[Any]:
    values = vars(import_module(module)).values()
    return [each for each in values if isinstance(each, kind) and getattr(each, "__module__", module) == module]


@pytest.mark.parametrize("module", [found.name for found in iter_modules(resolvers.__path__, "resolvers.")])
def test_schema_has_the_fields_of_each_module_of_resolvers(module: str) -> None:
    merged = {base for root in ROOTS for base in root.__bases__}
    types = [each for each in defined(module, type) if each.__name__.endswith(tuple(root.__name__ for root in ROOTS))]
    assert types
    assert merged.issuperset(types)


def test_routes_of_each_module_of_the_rest_api_are_mounted(server: RunningServer) -> None:
    paths = describe(server.app)["paths"]
    for found in iter_modules(rest.__path__, "server.rest."):
        for router in defined(found.name, APIRouter):
            assert {route.path for route in router.routes} <= paths.keys(), found.name
