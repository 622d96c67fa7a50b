"""Interfaces and unions: how an object's type is found, and what is wrong with it at times."""

from typing import Any, Final

import pytest
from graphql import GraphQLObjectType, GraphQLSchema, build_schema

from tests.engine.both import same

SDL: Final = """
    interface Pet { name: String }
    union Any = Cat | Dog | Stone
    type Cat implements Pet { name: String  lives: Int }
    type Dog implements Pet { name: String  barks: Boolean! }
    type Stone { name: String }
    enum Colour { RED }
    type Query { pet: Pet  pets: [Pet!]  any: [Any]  cats: [Cat] }
"""
QUERY: Final = """{
    pets { __typename name ... on Cat { lives } ... on Dog { barks } }
    any { __typename ... on Pet { name } ... on Stone { stone: name } ...D }
    cats { name }
} fragment D on Dog { barks }"""
CAT: Final = {"name": "Tom", "lives": 9, "__typename": "Cat"}
DOG: Final = {"name": "Rex", "barks": True, "__typename": "Dog"}
STONE: Final = {"name": "Grey", "__typename": "Stone"}


async def later(value: Any) -> Any:
    if isinstance(value, Exception):
        raise value
    return value


def make(how: str) -> GraphQLSchema:
    schema = build_schema(SDL)
    for name in ("Pet", "Any"):
        abstract: Any = schema.type_map[name]
        if how == "resolve_type":
            abstract.resolve_type = lambda value, _info, _type: value["__typename"]
        elif how == "resolve_type later":
            abstract.resolve_type = lambda value, _info, _type: later(value["__typename"])
    for name in ("Cat", "Dog", "Stone"):
        type_ = schema.type_map[name]
        assert isinstance(type_, GraphQLObjectType)
        if how == "is_type_of":
            type_.is_type_of = lambda value, _info, name=name: value.get("is") == name
        elif how == "is_type_of later":
            type_.is_type_of = lambda value, _info, name=name: later(value.get("is") == name)
    return schema


@pytest.mark.parametrize("how", ["__typename", "resolve_type", "resolve_type later", "is_type_of", "is_type_of later"])
async def test_objects_are_completed_by_their_own_type(how: str) -> None:
    cat, dog, stone = ({**each, "is": each["__typename"]} for each in (CAT, DOG, STONE))
    if "is_type_of" in how:
        for each in (cat, dog, stone):
            del each["__typename"]
    pets = [cat, dog, cat, {**dog, "barks": None}, dog]
    root = {"pets": pets, "any": [stone, cat, None, dog, stone], "cats": [cat, cat]}
    await same(make(how), QUERY, {**root, "pets": pets[:3]})
    await same(make(how), QUERY, root)
    await same(make(how), QUERY, {**root, "cats": [cat, dog], "any": [stone, {"name": "nothing"}, dog]})


@pytest.mark.parametrize("name", ["Cat", "Stone", "Query", "Colour", "Unknown", None, 5, "", ValueError("untold")])
@pytest.mark.parametrize("how", ["resolve_type", "resolve_type later", "__typename"])
async def test_unknown_runtime_type_is_an_error(how: str, name: Any) -> None:
    odd = {"__typename": name, "name": "odd"}
    await same(make(how), "{ pet { name } any { __typename } }", {"pet": odd, "any": [CAT, odd, CAT]})
    await same(make(how), "{ pets { name } }", {"pets": [DOG, odd]})


async def test_exception_of_resolve_type_is_the_fields_error() -> None:
    schema = make("")

    def fail(value: Any, info: Any, type_: Any) -> str:
        raise ValueError(f"{type_} at {info.path.as_list()}: {value}")

    pet: Any = schema.type_map["Pet"]
    pet.resolve_type = fail
    await same(schema, "{ pet { name } pets { name } }", {"pet": 1, "pets": [2, 3]})


async def test_exception_of_is_type_of_is_the_fields_error() -> None:
    schema = make("__typename")
    cat: Any = schema.type_map["Cat"]
    cat.is_type_of = lambda value, _info: value["lives"] > 0
    await same(schema, "{ cats { lives } }", {"cats": [CAT, {"name": "Tom"}, None, {"lives": 0}, CAT]})
