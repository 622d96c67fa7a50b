"""From a document's text to what can be executed: checked, validated and costed once, then kept by its text."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

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

from core.settings import Settings
from engine import Plan
from server.cost import Cost, compile_cost
from server.errors import RefusedError, refuse_document
from server.limits import check_limits
from server.scan import scan

_MAX_VALIDATION_ERRORS: Final = 20
# Bounds the memory of the documents kept: a token is a kilobyte in the tree and its plan, a character up to four bytes.
_MOST_KEPT_BYTES: Final = 100_000_000
_TOKEN_BYTES: Final = 1_000
_CHARACTER_BYTES: Final = 4
_LONGEST_LABEL: Final = 100


@dataclass(frozen=True, slots=True)
class PreparedOperation:
    """One operation of a valid document."""

    name: str | None
    type: OperationType
    document: DocumentNode
    cost: Cost
    plan: Plan = field(repr=False)
    # What the log calls it.
    label: str


@dataclass(frozen=True, slots=True)
class PreparedDocument:
    """A valid document and its operations by name."""

    operations: Mapping[str | None, PreparedOperation]
    size_bytes: int

    def select(self, name: str | None) -> PreparedOperation:
        """Return the operation that is meant; raise the refusal where none, or more than one, can be."""
        if name is None:
            if len(self.operations) == 1:
                return next(iter(self.operations.values()))
            raise _unresolved("The document has several operations; say which by `operationName`.")
        try:
            return self.operations[name]
        except KeyError:
            raise _unresolved(f"The document has no operation named '{name}'.") from None


class Documents:
    """Prepares documents, and keeps those that are trusted and those that were asked for last."""

    def __init__(self, schema: GraphQLSchema, settings: Settings) -> None:
        self._schema = schema
        self._settings = settings
        self._rules = [*specified_rules, MaybeNullValidationRule]
        if settings.is_production:
            self._rules.append(NoSchemaIntrospectionCustomRule)
        self._trusted: dict[str, PreparedDocument] = {}
        self._kept: OrderedDict[str, PreparedDocument] = OrderedDict()
        self._kept_bytes = 0
        self._kept_hashes: dict[str, str] = {}

    def get(self, text: str) -> PreparedDocument:
        """Return the document made ready; raise the refusal of one that cannot be."""
        document = self._kept.get(text)
        if document is None:
            return self._trusted.get(text) or self._admit(text)
        self._kept.move_to_end(text)
        return document

    def trust(self, text: str) -> PreparedDocument:
        """Return the document made ready, which is kept for good; raise the refusal of one that cannot be."""
        if text not in self._trusted:
            self._trusted[text] = self._prepare(text)
        return self._trusted[text]

    def register(self, text_hash: str, text: str) -> None:
        """Let a document that was just asked for be found by the hash of its text, for as long as it is kept."""
        if text in self._kept:
            self._kept_hashes[text_hash] = text

    def registered(self, text_hash: str) -> PreparedDocument | None:
        """Return the document that was registered and has this hash, if it is still kept."""
        text = self._kept_hashes.get(text_hash)
        return None if text is None else self.get(text)

    def _admit(self, text: str) -> PreparedDocument:
        if self._settings.trusted_documents_only:
            raise untrusted()
        document = self._prepare(text)
        self._kept[text] = document
        self._kept_bytes += document.size_bytes
        while self._kept_bytes > _MOST_KEPT_BYTES:
            forgotten, oldest = self._kept.popitem(last=False)
            self._kept_bytes -= oldest.size_bytes
            self._kept_hashes.pop(hash_of(forgotten), None)
        return document

    def _prepare(self, text: str) -> PreparedDocument:
        found = scan(text, self._settings.graphql_max_tokens)
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
                label = (name or "anonymous")[:_LONGEST_LABEL]
                operations[name] = PreparedOperation(name, node.operation, document, cost, plan, label)
        return PreparedDocument(operations, found.tokens * _TOKEN_BYTES + len(text) * _CHARACTER_BYTES)

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
    """Return the refusal of a document that is not one of those that the server executes."""
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
