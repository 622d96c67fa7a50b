"""REST models and routes of an entity, made from the descriptions of its columns."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field, create_model
from sqlmodel import SQLModel
from starlette.responses import Response

from graph.context import Context
from models.columns import Column, Kind, creatable_columns, public_columns, updatable_columns
from server.rest.caller import SignedIn
from server.rest.described import problems, stamped
from server.rest.fields import (
    Body,
    Deleted,
    GivenId,
    IdempotencyKey,
    IfMatch,
    Moment,
    Row,
    expected_revision,
    show_rows_as,
    stamp,
    text,
)
from services.entities.service import EntityService, NewRow
from services.query.lookup import not_found, rows_by_id

Model = TypeVar("Model", bound=BaseModel)


def row_of(model: type[SQLModel]) -> Callable[[type[Model]], type[Model]]:
    """Add a table's public columns to a response model; one that declares some has those described, no others."""

    def decorate(cls: type[Model]) -> type[Model]:
        columns = public_columns(model)
        declared = [column for column in columns if column.name in cls.model_fields]
        for column in declared:
            cls.model_fields[column.name].description = column.description
        fields: dict[str, Any] = {} if declared else {"id": (str, Field(description="Its id, a UUID."))}
        if not declared:
            fields |= {column.name: (_output_type(column), Field(description=column.description)) for column in columns}
        made = create_model(cls.__name__, __base__=cls, __doc__=cls.__doc__, __module__=cls.__module__, **fields)
        show_rows_as(model, made)
        return made

    return decorate


def create_body_of(model: type[SQLModel]) -> Callable[[type[Model]], type[Model]]:
    """Add to a request body the columns that clients set when they create a row, and an id of their own."""

    def decorate(cls: type[Model]) -> type[Model]:
        fields: dict[str, Any] = {}
        for column in creatable_columns(model):
            if column.name not in cls.model_fields:
                fields[column.name] = _body_field(column, default=_default_of(column))
        return create_model(cls.__name__, __base__=cls, __doc__=cls.__doc__, __module__=cls.__module__, **fields)

    return decorate


def update_body_of(model: type[SQLModel]) -> Callable[[type[Model]], type[Model]]:
    """Add to a request body the columns that clients may update: what is left out stays, null clears."""

    def decorate(cls: type[Model]) -> type[Model]:
        fields: dict[str, Any] = {}
        for column in updatable_columns(model):
            # What is not sent is not read, so any default does; only null is shown as one.
            default = {"default": None} if column.is_nullable else {"default_factory": lambda: None}
            fields[column.name] = _body_field(column, default=default)
        return create_model(cls.__name__, __base__=cls, __doc__=cls.__doc__, __module__=cls.__module__, **fields)

    return decorate


def replace_body_of(model: type[SQLModel]) -> Callable[[type[Model]], type[Model]]:
    """Add to a request body the columns that clients may update: what is left out is as in a new row."""

    def decorate(cls: type[Model]) -> type[Model]:
        fields: dict[str, Any] = {
            column.name: _body_field(column, default=_default_of(column)) for column in updatable_columns(model)
        }
        return create_model(cls.__name__, __base__=cls, __doc__=cls.__doc__, __module__=cls.__module__, **fields)

    return decorate


class CreateBody(Body):
    """The base of bodies that create a row."""

    id: GivenId = None

    def to_new(self, idempotency_key: str | None) -> NewRow:
        """Return what the service takes."""
        return NewRow(self.model_dump(exclude_unset=True, exclude={"id"}), self.id, idempotency_key)


def add_entity_routes(
    router: APIRouter,
    service: EntityService[Any],
    row: type[Row],
    create_body: type[CreateBody],
    update_body: type[Body],
) -> None:
    """Add the routes that create, read, update and delete one row to a router."""
    name = service.model.__name__.lower()
    path, row_id = f"/{{{name}_id}}", Annotated[str, Path(alias=f"{name}_id")]

    def add(verb: str, method: str, endpoint: Callable[..., Any], description: str, **options: Any) -> None:
        endpoint.__annotations__ |= {"row_id": row_id} if "row_id" in endpoint.__annotations__ else {}
        route: dict[str, Any] = {"response_model": row, "description": description, "name": f"{verb}_{name}"}
        router.add_api_route("" if verb == "create" else path, endpoint, methods=[method], **route | options)

    create = _create_endpoint(service, row, router.prefix)
    create.__annotations__["body"] = create_body
    created = problems(401, 404, 409, body=True) | stamped(201, location=True)
    add("create", "POST", create, f"Make a {name}.", status_code=201, responses=created)
    add("read", "GET", _read_endpoint(service, row), f"Read one {name}.", responses=problems(401, 404) | stamped(200))
    update = _update_endpoint(service, row)
    update.__annotations__["body"] = update_body
    description = f"Change what is given of a {name}: what is left out stays, null clears."
    add("update", "PATCH", update, description, responses=problems(401, 404, 412, body=True) | stamped(200))
    description = f"Delete a {name} and all that belongs to it."
    delete = _delete_endpoint(service)
    add("delete", "DELETE", delete, description, response_model=Deleted, responses=problems(401, 404, 412))


def _create_endpoint(service: EntityService[Any], row: type[Row], prefix: str) -> Callable[..., Any]:
    async def create(context: SignedIn, body: Any, response: Response, key: IdempotencyKey = None) -> Any:
        created = await context.create(partial(service.create_alone, new=body.to_new(key)))
        response.headers["location"] = f"{prefix}/{created.id}"
        return stamp(response, row, created)

    return create


def _read_endpoint(service: EntityService[Any], row: type[Row]) -> Callable[..., Any]:
    columns = frozenset(row.model_fields)

    async def read(context: SignedIn, row_id: str, response: Response) -> Any:
        async with context.database.read() as session:
            (found,) = await rows_by_id(session, context.require_caller(), service.model, [row_id], columns)
        if found is None:
            raise not_found(service.model, ("input", "id"))
        return stamp(response, row, found)

    return read


def _update_endpoint(service: EntityService[Any], row: type[Row]) -> Callable[..., Any]:
    async def update(context: SignedIn, row_id: str, body: Any, response: Response, if_match: IfMatch = None) -> Any:
        changes = body.model_dump(exclude_unset=True)
        return stamp(response, row, await update_row(context, service, row_id, changes, if_match))

    return update


def _delete_endpoint(service: EntityService[Any]) -> Callable[..., Any]:
    async def delete(context: SignedIn, row_id: str, if_match: IfMatch = None) -> Deleted:
        work = partial(service.delete, row_id=row_id, expected_revision=expected_revision(if_match))
        return Deleted(deleted_ids=await context.write(work))

    return delete


async def update_row(
    context: Context, service: EntityService[Any], row_id: str, changes: dict[str, Any], if_match: str | None
) -> Any:
    """Update a row that is still as its ETag says, where one is given."""
    expected = expected_revision(if_match)
    return await context.write(partial(service.update, row_id=row_id, changes=changes, expected_revision=expected))


def _body_field(column: Column, *, default: dict[str, Any]) -> tuple[Any, Any]:
    """Return the type and the field of a column in a request body."""
    description = column.input_description
    bounds: dict[str, Any] = {}
    if column.kind is Kind.MOMENT:
        description = f"{column.description.removesuffix('.')}: RFC 3339 with an offset."
    if column.kind is Kind.TEXT:
        minimum = column.minimum or 0
        return _nullable(column, str), text(description, least=minimum, most=column.maximum or 0, default=default)
    if column.kind is Kind.INTEGER:
        bounds = {"ge": column.minimum, "le": column.maximum}
    if column.kind is Kind.TEXTS:
        bounds = {"json_schema_extra": {"maxItems": column.maximum}}
    if column.kind is Kind.ENUM:
        # JSON has no enums: their members are sent as texts.
        bounds = {"strict": False}
    return _nullable(column, _input_type(column)), Field(description=description, **bounds, **default)


def _input_type(column: Column) -> Any:
    if column.kind is Kind.MOMENT:
        return Moment
    if column.kind is Kind.TEXTS:
        return list[Annotated[str, text("A text of the list.", most=column.max_element_length or 0)]]
    return column.type


def _output_type(column: Column) -> Any:
    """Return the type of a column in a response."""
    if column.kind is Kind.JSON:
        return column.model.model_fields[column.name].annotation
    return _nullable(column, list[str] if column.kind is Kind.TEXTS else column.type)


def _nullable(column: Column, shown: Any) -> Any:
    return shown | None if column.is_nullable else shown


def _default_of(column: Column) -> dict[str, Any]:
    if column.is_required:
        return {}
    return {"default_factory": column.default_factory} if column.default_factory else {"default": column.default}
