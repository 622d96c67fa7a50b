"""Documents prepared for execution: parsed, validated and costed once, then found by text, hash or trusted id."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal, NamedTuple

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
from server.graphql.limits import check_limits, count_tokens
from server.http.errors import RefusedError, refuse, refuse_document
from server.http.request_body import PersistedQuery

_MAX_VALIDATION_ERRORS: Final = 20
# A token is a kilobyte in the tree and its plan, a character up to four bytes.
MAX_CACHE_BYTES: Final = 100_000_000
_TOKEN_BYTES: Final = 1_000
_CHARACTER_BYTES: Final = 4
_MAX_LABEL_LENGTH: Final = 100
_SHA256_PREFIX: Final = "sha256:"
_SHA256: Final = re.compile("[0-9a-f]{64}")
# The status of Apollo Server for every media type: some of its clients give up at any other.
_APOLLO_STATUS: Final = 200


@dataclass(frozen=True, slots=True)
class PreparedOperation:
    """One operation of a valid document."""

    name: str | None
    type: OperationType
    document: DocumentNode
    cost: Cost
    plan: Plan = field(repr=False)
    # Its name in the log.
    label: str


@dataclass(frozen=True, slots=True)
class PreparedDocument:
    """A valid document and its operations by name."""

    operations: Mapping[str | None, PreparedOperation]
    size_bytes: int

    def select(self, name: str | None) -> PreparedOperation:
        """Return the operation of that name, or the only one; raise the refusal where there is none."""
        if name is None:
            if len(self.operations) == 1:
                return next(iter(self.operations.values()))
            raise _unresolved("The document has several operations; say which by `operationName`.")
        try:
            return self.operations[name]
        except KeyError:
            raise _unresolved(f"The document has no operation named '{name}'.") from None


class Documents:
    """Prepared documents by text, hash or trusted id: the trusted ones for good, the others in an LRU cache."""

    def __init__(self, schema: GraphQLSchema, settings: Settings) -> None:
        self._schema = schema
        self._settings = settings
        self._rules = [*specified_rules, MaybeNullValidationRule]
        if settings.is_production:
            self._rules.append(NoSchemaIntrospectionCustomRule)
        self.cache: LRUCache[str, PreparedDocument] = LRUCache("documents", max_bytes=MAX_CACHE_BYTES)
        self._texts_by_hash: dict[str, str] = {}
        self._trusted: dict[str, PreparedDocument] = {}
        self._trusted_by_name: dict[str, PreparedDocument] = {}
        if settings.trusted_documents is not None:
            self._load_trusted(settings.trusted_documents)

    def get(self, text: str) -> PreparedDocument:
        """Return the document of this text; raise the refusal of an invalid one."""
        return self._trusted.get(text) or self.cache.get(text) or self._admit(text)

    def get_named(self, reference: str | PersistedQuery, text: str) -> PreparedDocument:
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

    def registered(self, text_hash: str) -> PreparedDocument | None:
        """Return the document registered under this hash, or None if it was evicted."""
        text = self._texts_by_hash.get(text_hash)
        return None if text is None else self.get(text)

    def _register(self, text_hash: str, text: str) -> PreparedDocument:
        if text_hash != _hash_of(text):
            raise refuse(400, "provided sha does not match query", code="PERSISTED_QUERY_HASH_MISMATCH")
        document = self.get(text)
        if text in self.cache:
            self._texts_by_hash[text_hash] = text
        return document

    def _admit(self, text: str) -> PreparedDocument:
        if self._settings.trusted_documents_only:
            raise _untrusted()
        document = self._prepare(text)
        for evicted, _ in self.cache.put(text, document, document.size_bytes):
            self._texts_by_hash.pop(_hash_of(evicted), None)
        return document

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
                self._trusted[found.text] = self._prepare(found.text)
        except RefusedError as refusal:
            error = refusal.errors[0]
            places = [" (line {line}, column {column})".format(**each) for each in error.get("locations", ())[:1]]
            raise _wrong("".join([f"{found.place}: {error['message']}", *places])) from None
        return self._trusted[found.text]

    def _prepare(self, text: str) -> PreparedDocument:
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
        fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
        operations = {}
        for node in document.definitions:
            if isinstance(node, OperationDefinitionNode):
                name = node.name.value if node.name else None
                cost = compile_cost(self._schema, node, fragments)
                plan = Plan(self._schema, document, name)
                label = (name or "anonymous")[:_MAX_LABEL_LENGTH]
                operations[name] = PreparedOperation(name, node.operation, document, cost, plan, label)
        return PreparedDocument(operations, tokens * _TOKEN_BYTES + len(text) * _CHARACTER_BYTES)


def _parse(text: str) -> DocumentNode:
    try:
        document = parse(text)
    except GraphQLError as error:
        raise refuse_document([error], "GRAPHQL_PARSE_FAILED") from None
    if not any(isinstance(node, OperationDefinitionNode) for node in document.definitions):
        raise refuse_document([GraphQLError("The document has no operation.")], "GRAPHQL_VALIDATION_FAILED")
    return document


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
