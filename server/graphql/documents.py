"""Documents prepared for execution: parsed, validated and costed once, then found by text, hash or trusted id."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

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
    """Prepares documents, and keeps the trusted ones and, in an LRU cache, the others by their text."""

    def __init__(self, schema: GraphQLSchema, settings: Settings) -> None:
        self._schema = schema
        self._settings = settings
        self._rules = [*specified_rules, MaybeNullValidationRule]
        if settings.is_production:
            self._rules.append(NoSchemaIntrospectionCustomRule)
        self._trusted: dict[str, PreparedDocument] = {}
        self.cache: LRUCache[str, PreparedDocument] = LRUCache("documents", max_bytes=MAX_CACHE_BYTES)
        self._texts_by_hash: dict[str, str] = {}

    def get(self, text: str) -> PreparedDocument:
        """Return the prepared document; raise the refusal of an invalid one."""
        return self._trusted.get(text) or self.cache.get(text) or self._admit(text)

    def trust(self, text: str) -> PreparedDocument:
        """Prepare a document and keep it for good; raise the refusal of an invalid one."""
        if text not in self._trusted:
            self._trusted[text] = self._prepare(text)
        return self._trusted[text]

    def register(self, text_hash: str, text: str) -> None:
        """Make a document of the cache findable by the hash of its text, until it is evicted."""
        if text in self.cache:
            self._texts_by_hash[text_hash] = text

    def registered(self, text_hash: str) -> PreparedDocument | None:
        """Return the registered document with this hash, or None if it was evicted."""
        text = self._texts_by_hash.get(text_hash)
        return None if text is None else self.get(text)

    def _admit(self, text: str) -> PreparedDocument:
        if self._settings.trusted_documents_only:
            raise untrusted()
        document = self._prepare(text)
        for evicted, _ in self.cache.put(text, document, document.size_bytes):
            self._texts_by_hash.pop(hash_of(evicted), None)
        return document

    def _prepare(self, text: str) -> PreparedDocument:
        tokens = count_tokens(text, self._settings.graphql_max_tokens)
        document = _parse(text)
        check_limits(document, self._settings)
        self._validate(document)
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

    def _validate(self, document: DocumentNode) -> None:
        errors = validate(
            self._schema,
            document,
            self._rules,
            max_errors=_MAX_VALIDATION_ERRORS,
            hide_suggestions=self._settings.is_production,
        )
        if errors:
            raise refuse_document(errors, "GRAPHQL_VALIDATION_FAILED")


def hash_of(text: str) -> str:
    """Return the SHA-256 by which clients name a document."""
    return sha256(text.encode()).hexdigest()


def untrusted() -> RefusedError:
    """Return the refusal of a document that is not trusted."""
    message = "Only trusted documents are executed, and this is none; add it to those that TRUSTED_DOCUMENTS names."
    return refuse_document([GraphQLError(message)], "DOCUMENT_NOT_TRUSTED")


def _parse(text: str) -> DocumentNode:
    try:
        document = parse(text)
    except GraphQLError as error:
        raise refuse_document([error], "GRAPHQL_PARSE_FAILED") from None
    if not any(isinstance(node, OperationDefinitionNode) for node in document.definitions):
        raise refuse_document([GraphQLError("The document has no operation.")], "GRAPHQL_VALIDATION_FAILED")
    return document


def _unresolved(message: str) -> RefusedError:
    return refuse_document([GraphQLError(message)], "OPERATION_RESOLUTION_FAILURE")


SHA256_PREFIX: Final = "sha256:"
_APOLLO_FORMAT: Final = "apollo-persisted-query-manifest"


class _Found(NamedTuple):
    """A document of a manifest or folder; `place` names it in error messages."""

    id: str
    text: str
    place: str


def trusted_documents(documents: Documents, settings: Settings) -> dict[str, PreparedDocument]:
    """Return all documents that the settings trust by each of their names; raise SettingsError for one that is wrong.

    A document's names are its id and the hash of its text, with and without a prefix that says so.
    """
    named: dict[str, PreparedDocument] = {}
    for found in _read(settings.trusted_documents) if settings.trusted_documents else ():
        document = _trust(documents, found)
        for name in (found.id, *_hashes(found.text)):
            if named.setdefault(name, document) is not document:
                raise _wrong(f"{found.place}: another document has the id {name!r} too")
        # Editors end a file with a line break, which those who print documents do not.
        bare = found.text.strip()
        if bare != found.text:
            named |= dict.fromkeys(_hashes(bare), documents.trust(bare))
    if settings.trusted_documents and not named:
        raise _wrong(f"{settings.trusted_documents} has no documents")
    return named


def _trust(documents: Documents, found: _Found) -> PreparedDocument:
    if found.id.startswith(SHA256_PREFIX) and found.id not in _hashes(found.text):
        raise _wrong(f"{found.place}: the id is not the hash of the text, which is {hash_of(found.text)}")
    try:
        return documents.trust(found.text)
    except RefusedError as refusal:
        raise _wrong(f"{found.place}: {_error_text(refusal)}") from None


def _hashes(text: str) -> tuple[str, str]:
    text_hash = hash_of(text)
    return text_hash, SHA256_PREFIX + text_hash


def _read(path: Path) -> Iterator[_Found]:
    if path.is_dir():
        for file in sorted(path.rglob("*.graphql")):
            yield _Found(file.stem, _text_of(file), str(file))
    else:
        yield from _read_manifest(path)


def _read_manifest(path: Path) -> Iterator[_Found]:
    try:
        manifest = orjson.loads(_text_of(path))
    except orjson.JSONDecodeError as error:
        raise _wrong(f"{path} is not valid JSON: {error.msg}") from None
    is_apollos = isinstance(manifest, dict) and manifest.get("format") == _APOLLO_FORMAT
    pairs = list(_apollo_pairs(manifest) if is_apollos else _pairs(manifest))
    for document_id, text in pairs:
        if not isinstance(document_id, str) or not isinstance(text, str):
            raise _wrong(
                f"{path} is neither a map from ids to documents nor a manifest of the format {_APOLLO_FORMAT!r}, "
                "version 1"
            )
        yield _Found(document_id, text, f"{path}: {document_id}")


def _apollo_pairs(manifest: dict[str, Any]) -> Iterator[tuple[object, object]]:
    operations = manifest.get("operations")
    if manifest.get("version") != 1 or not isinstance(operations, list):
        yield None, None
        return
    for operation in operations:
        yield (operation.get("id"), operation.get("body")) if isinstance(operation, dict) else (None, None)


def _pairs(manifest: object) -> Iterator[tuple[object, object]]:
    yield from manifest.items() if isinstance(manifest, dict) else [(None, None)]


def _text_of(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not valid UTF-8"
        raise _wrong(f"{file} cannot be read: {reason}") from None


def _error_text(refusal: RefusedError) -> str:
    error = refusal.errors[0]
    message: str = error["message"]
    for location in error.get("locations", ())[:1]:
        message += " (line {line}, column {column})".format(**location)
    return message


def _wrong(reason: str) -> SettingsError:
    return SettingsError(f"TRUSTED_DOCUMENTS is wrong: {reason}")


_VERSION: Final = 1
_SHA256: Final = re.compile("[0-9a-f]{64}")
_NOT_FOUND: Final = ("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND")
_NOT_SUPPORTED: Final = ("PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED")
# The status for every media type, as Apollo Server answers: some of its clients give up at any other.
_AS_APOLLO: Final = 200


class NamedDocuments:
    """Documents by id or hash; the trusted ones are prepared at the start."""

    def __init__(self, documents: Documents, settings: Settings) -> None:
        self._documents = documents
        self._trusted = trusted_documents(documents, settings)
        self._trusted_only = settings.trusted_documents_only

    def get(self, reference: str | PersistedQuery, text: str) -> PreparedDocument:
        """Return the named document; a text sent with the name is prepared and registered under its hash."""
        if isinstance(reference, PersistedQuery):
            return self._by_persisted_query(reference, text)
        text_hash = reference.removeprefix(SHA256_PREFIX)
        if text_hash != reference:
            _check_hash(text_hash)
        document = self._find(reference, text_hash, text)
        if document is None:
            message, code = _NOT_FOUND
            raise refuse_document([GraphQLError(message)], code)
        return document

    def _by_persisted_query(self, reference: PersistedQuery, text: str) -> PreparedDocument:
        if reference.version != _VERSION or reference.version is True:
            message, code = _NOT_SUPPORTED
            raise refuse(_AS_APOLLO, message, code=code)
        name = reference.sha256_hash
        if not isinstance(name, str):
            raise refuse(400, "`sha256Hash` must be a string.")
        if name not in self._trusted:
            _check_hash(name)
        document = self._find(name, name, text)
        if document is None:
            message, code = _NOT_FOUND
            raise refuse(_AS_APOLLO, message, code=code)
        return document

    def _find(self, name: str, text_hash: str, text: str) -> PreparedDocument | None:
        if text:
            return self._keep(text_hash, text) if _SHA256.fullmatch(text_hash) else self._documents.get(text)
        found = self._trusted.get(name) or self._documents.registered(text_hash)
        if found is None and self._trusted_only:
            raise untrusted()
        return found

    def _keep(self, text_hash: str, text: str) -> PreparedDocument:
        if text_hash != hash_of(text):
            raise refuse(400, "provided sha does not match query", code="PERSISTED_QUERY_HASH_MISMATCH")
        document = self._documents.get(text)
        self._documents.register(text_hash, text)
        return document


def _check_hash(text_hash: str) -> None:
    if not _SHA256.fullmatch(text_hash):
        raise refuse(400, "The hash must be the SHA-256 of the query in 64 hexadecimal digits, in lower case.")
