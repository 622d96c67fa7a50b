"""Documents prepared for execution: parsed, validated and costed once, then found by text, hash or trusted id."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import orjson
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    parse,
    specified_rules,
    validate,
)
from pydantic import BaseModel, TypeAdapter, ValidationError
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule

from core.cache import LRUCache
from core.settings import Settings, SettingsError
from engine import Plan
from server.graphql.cost import Cost, compile_cost
from server.graphql.limits import check_length, check_limits, count_tokens
from server.graphql.literals import BoundLiterals, SplitDocument, Template, make_template, split_literals
from server.http.errors import RefusedError, refuse, refuse_document
from server.http.request_body import PersistedQuery

_MAX_VALIDATION_ERRORS: Final = 20
# Measured: a token in the tree and the cost made of it, a field in a plan; a character is up to four bytes.
MAX_CACHE_BYTES: Final = 100_000_000
_TOKEN_BYTES: Final = 1_000
_FIELD_BYTES: Final = 3_500
_CHARACTER_BYTES: Final = 4
MAX_TEXT_BYTES: Final = 10_000_000
_BYTES_PER_TEXT: Final = 500
_MAX_LABEL_LENGTH: Final = 100
_SHA256_PREFIX: Final = "sha256:"
_SHA256: Final = re.compile("[0-9a-f]{64}")
# The status of Apollo Server for every media type: some of its clients give up at any other.
_APOLLO_STATUS: Final = 200


@dataclass(frozen=True, slots=True)
class PreparedOperation:
    """One operation of a valid document; where literals of the document became variables, with their values."""

    name: str | None
    type: OperationType
    document: DocumentNode
    cost: Cost
    plan: Plan = field(repr=False)
    # Its name in the log.
    label: str
    literals: BoundLiterals | None = None

    def variables(self, sent: dict[str, Any]) -> dict[str, Any]:
        """Return the variables that it is executed with."""
        return sent if self.literals is None else sent | self.literals.variables

    def errors(self, errors: Iterable[GraphQLError]) -> list[GraphQLError]:
        """Return errors with their places in the text that was sent."""
        return list(errors if self.literals is None else map(self.literals.relocate, errors))


class PreparedDocument:
    """A valid document, whose operations are planned when they are first asked for."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, template: Template | None = None) -> None:
        self.template = template
        # Told how many fields more its plans have.
        self.on_kept: Callable[[int], None] = lambda _fields: None
        self._schema = schema
        self._document = document if template is None else template.document
        self._nodes = {
            node.name.value if node.name else None: node
            for node in self._document.definitions
            if isinstance(node, OperationDefinitionNode)
        }
        self._operations: dict[str | None, PreparedOperation] = {}

    def select(self, name: str | None, literals: BoundLiterals | None = None) -> PreparedOperation:
        """Return the operation of that name, or the only one; raise the refusal where there is none."""
        if name is None:
            if len(self._nodes) > 1:
                raise _unresolved("The document has several operations; say which by `operationName`.")
            name = next(iter(self._nodes))
        if name not in self._nodes:
            raise _unresolved(f"The document has no operation named '{name}'.")
        if (operation := self._operations.get(name)) is None:
            operation = self._operations[name] = self._prepare(name)
        return operation if literals is None else replace(operation, literals=literals)

    def bind(self, text: str, split: SplitDocument) -> "BoundDocument | None":
        """Return the document of another text by the template; None where it has no value for one of the variables."""
        literals = None if self.template is None else self.template.bind(text, split.literals)
        return None if literals is None else BoundDocument(self, literals)

    def _prepare(self, name: str | None) -> PreparedOperation:
        node, definitions = self._nodes[name], self._document.definitions
        fragments = {each.name.value: each for each in definitions if isinstance(each, FragmentDefinitionNode)}
        cost = compile_cost(self._schema, node, fragments)
        plan = Plan(self._schema, self._document, name, self.on_kept)
        label = (name or "anonymous")[:_MAX_LABEL_LENGTH]
        return PreparedOperation(name, node.operation, self._document, cost, plan, label)


class BoundDocument(NamedTuple):
    """A document by the template that it shares with others."""

    shared: PreparedDocument
    literals: BoundLiterals

    def select(self, name: str | None) -> PreparedOperation:
        """Return the operation of that name, or the only one; raise the refusal where there is none."""
        return self.shared.select(name, self.literals)


class Documents:
    """Prepared documents by text, hash or trusted id: the trusted ones for good, the others in an LRU cache.

    Those that differ in literals alone are one entry of it. What was refused is remembered, and refused for nothing.
    """

    def __init__(self, schema: GraphQLSchema, settings: Settings) -> None:
        self._schema = schema
        self._settings = settings
        self._rules = [*specified_rules, MaybeNullValidationRule]
        if settings.is_production:
            self._rules.append(NoSchemaIntrospectionCustomRule)
        self.cache: LRUCache[str | tuple[str], PreparedDocument] = LRUCache("documents", max_bytes=MAX_CACHE_BYTES)
        self._texts: LRUCache[str, str] = LRUCache("persisted_queries", max_bytes=MAX_TEXT_BYTES)
        self._refused: LRUCache[str, RefusedError] = LRUCache("refused_documents", max_bytes=MAX_TEXT_BYTES)
        self._trusted: dict[str, PreparedDocument] = {}
        self._trusted_by_name: dict[str, PreparedDocument] = {}
        if settings.trusted_documents is not None:
            self._load_trusted(settings.trusted_documents)

    @property
    def caches(self) -> tuple[LRUCache[Any, Any], ...]:
        """Return the caches whose counts /metrics shows."""
        return self.cache, self._texts, self._refused

    def get(self, text: str) -> PreparedDocument | BoundDocument:
        """Return the document of this text; raise the refusal of an invalid one."""
        return self._trusted.get(text) or self.cache.get(text) or self._find(text)

    def get_named(self, reference: str | PersistedQuery, text: str) -> PreparedDocument | BoundDocument:
        """Return the document of this id or hash; a text sent with a hash is registered under it."""
        if isinstance(reference, PersistedQuery):
            name = text_hash = _hash_in(reference)
            is_hash = name not in self._trusted_by_name
        else:
            name, text_hash = reference, reference.removeprefix(_SHA256_PREFIX)
            is_hash = text_hash != name
        if is_hash and not _SHA256.fullmatch(text_hash):
            raise refuse(400, "The hash must be the SHA-256 of the query in 64 hexadecimal digits, in lower case.")
        if text:
            return self._register(text_hash, text) if _SHA256.fullmatch(text_hash) else self.get(text)
        document = self._trusted_by_name.get(name) or self.registered(text_hash)
        if document is None:
            raise _untrusted() if self._settings.trusted_documents_only else _not_found(reference)
        return document

    def registered(self, text_hash: str) -> PreparedDocument | BoundDocument | None:
        """Return the document registered under this hash, or None if it was evicted."""
        text = self._texts.get(text_hash)
        return None if text is None else self.get(text)

    def _register(self, text_hash: str, text: str) -> PreparedDocument | BoundDocument:
        if text_hash != _hash_of(text):
            raise refuse(400, "provided sha does not match query", code="PERSISTED_QUERY_HASH_MISMATCH")
        document = self.get(text)
        self._texts.put(text_hash, text, _text_bytes(text))
        return document

    def _find(self, text: str) -> PreparedDocument | BoundDocument:
        """Return a document that is known by its template, or prepare it."""
        if self._settings.trusted_documents_only:
            raise _untrusted()
        if (refusal := self._refused.get(text)) is not None:
            raise refusal.copy()
        check_length(text)
        split = split_literals(text)
        if split is not None and (shared := self.cache.get(split.key)) is not None:
            if (bound := shared.bind(text, split)) is not None:
                return bound
            # A literal is no value of its type: validation says so in its words.
            split = None
        try:
            document, size_bytes = self._prepare(text, split)
        except RefusedError as refused:
            # Without the traceback, whose frames hold the request.
            messages = sum(len(error["message"]) for error in refused.errors)
            self._refused.put(text, refused.copy(), _text_bytes(text) + messages * _CHARACTER_BYTES)
            raise
        key = text if split is None or document.template is None else split.key
        document.on_kept = partial(self._count_fields, key)
        self.cache.put(key, document, size_bytes)
        if split is None or document.template is None:
            return document
        return document.bind(text, split) or self._prepare(text)[0]

    def _count_fields(self, key: str | tuple[str], fields: int) -> None:
        self.cache.grow(key, fields * _FIELD_BYTES)

    def _load_trusted(self, path: Path) -> None:
        """Prepare the trusted documents, each named by its id and by its hash, with and without the prefix."""
        for found in _read(path):
            document = self._trust(found)
            for name in (found.id, *_hashes(found.text)):
                if self._trusted_by_name.setdefault(name, document) is not document:
                    raise _wrong(f"{found.place}: another document has the id {name!r} too")
            # Editors end a file with a line break, which those who print documents do not.
            bare = found._replace(id="", text=found.text.strip())
            self._trusted_by_name |= dict.fromkeys(_hashes(bare.text), self._trust(bare))
        if not self._trusted_by_name:
            raise _wrong(f"{path} has no documents")

    def _trust(self, found: "_Found") -> PreparedDocument:
        if found.id.startswith(_SHA256_PREFIX) and found.id not in _hashes(found.text):
            raise _wrong(f"{found.place}: the id is not the hash of the text, which is {_hash_of(found.text)}")
        try:
            if found.text not in self._trusted:
                self._trusted[found.text], _ = self._prepare(found.text)
        except RefusedError as refusal:
            error = refusal.errors[0]
            places = [" (line {line}, column {column})".format(**each) for each in error.get("locations", ())[:1]]
            raise _wrong("".join([f"{found.place}: {error['message']}", *places])) from None
        return self._trusted[found.text]

    def _prepare(self, text: str, split: SplitDocument | None = None) -> tuple[PreparedDocument, int]:
        """Return the document and its size, with its literals as variables where it is split."""
        tokens = count_tokens(text, self._settings.graphql_max_tokens)
        document = _parse(text)
        check_limits(document, self._settings)
        errors = validate(
            self._schema,
            document,
            self._rules,
            max_errors=_MAX_VALIDATION_ERRORS,
            hide_suggestions=self._settings.is_production,
        )
        if errors:
            raise refuse_document(errors, "GRAPHQL_VALIDATION_FAILED")
        template = None if split is None else make_template(self._schema, document, split.literals)
        size_bytes = tokens * _TOKEN_BYTES + len(text) * _CHARACTER_BYTES
        return PreparedDocument(self._schema, document, template), size_bytes


def _parse(text: str) -> DocumentNode:
    try:
        document = parse(text)
    except GraphQLError as error:
        raise refuse_document([error], "GRAPHQL_PARSE_FAILED") from None
    if not any(isinstance(node, OperationDefinitionNode) for node in document.definitions):
        raise refuse_document([GraphQLError("The document has no operation.")], "GRAPHQL_VALIDATION_FAILED")
    return document


def _text_bytes(text: str) -> int:
    return _BYTES_PER_TEXT + len(text) * _CHARACTER_BYTES


def _hash_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _hashes(text: str) -> tuple[str, str]:
    text_hash = _hash_of(text)
    return text_hash, _SHA256_PREFIX + text_hash


def _hash_in(reference: PersistedQuery) -> str:
    if reference.version != 1 or reference.version is True:
        raise refuse(_APOLLO_STATUS, "PersistedQueryNotSupported", code="PERSISTED_QUERY_NOT_SUPPORTED")
    if not isinstance(reference.sha256_hash, str):
        raise refuse(400, "`sha256Hash` must be a string.")
    return reference.sha256_hash


def _not_found(reference: str | PersistedQuery) -> RefusedError:
    message, code = "PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND"
    if isinstance(reference, PersistedQuery):
        return refuse(_APOLLO_STATUS, message, code=code)
    return refuse_document([GraphQLError(message)], code)


def _untrusted() -> RefusedError:
    message = "Only trusted documents are executed, and this is none; add it to those that TRUSTED_DOCUMENTS names."
    return refuse_document([GraphQLError(message)], "DOCUMENT_NOT_TRUSTED")


def _unresolved(message: str) -> RefusedError:
    return refuse_document([GraphQLError(message)], "OPERATION_RESOLUTION_FAILURE")


class _ApolloOperation(BaseModel):
    id: str
    body: str


class _ApolloManifest(BaseModel):
    format: Literal["apollo-persisted-query-manifest"]
    version: Literal[1]
    operations: list[_ApolloOperation]


_MANIFEST: Final[TypeAdapter[_ApolloManifest | dict[str, str]]] = TypeAdapter(_ApolloManifest | dict[str, str])


class _Found(NamedTuple):
    """A document of a manifest or folder; `place` names it in error messages."""

    id: str
    text: str
    place: str


def _read(path: Path) -> Iterator[_Found]:
    if path.is_dir():
        for file in sorted(path.rglob("*.graphql")):
            yield _Found(file.stem, _text_of(file), str(file))
        return
    try:
        manifest = _MANIFEST.validate_python(orjson.loads(_text_of(path)))
    except orjson.JSONDecodeError as error:
        raise _wrong(f"{path} is not valid JSON: {error.msg}") from None
    except ValidationError:
        raise _wrong(
            f"{path} is neither a map from ids to documents nor a manifest of the format "
            "'apollo-persisted-query-manifest', version 1"
        ) from None
    if isinstance(manifest, dict):
        texts = list(manifest.items())
    else:
        texts = [(each.id, each.body) for each in manifest.operations]
    for name, text in texts:
        yield _Found(name, text, f"{path}: {name}")


def _text_of(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not valid UTF-8"
        raise _wrong(f"{file} cannot be read: {reason}") from None


def _wrong(reason: str) -> SettingsError:
    return SettingsError(f"TRUSTED_DOCUMENTS is wrong: {reason}")
