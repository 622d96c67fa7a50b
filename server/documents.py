"""From a document's text to what can be executed: checked, validated and costed once, then kept by its text."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
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

    @property
    def label(self) -> str:
        """Return what the log calls it."""
        return (self.name or "anonymous")[:_LONGEST_LABEL]


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
    """Prepares documents, and keeps those that were asked for last."""

    def __init__(self, schema: GraphQLSchema, settings: Settings) -> None:
        self._schema = schema
        self._settings = settings
        self._rules = [*specified_rules, MaybeNullValidationRule]
        if settings.is_production:
            self._rules.append(NoSchemaIntrospectionCustomRule)
        self._kept: OrderedDict[str, PreparedDocument] = OrderedDict()
        self._kept_bytes = 0

    def get(self, text: str) -> PreparedDocument:
        """Return the document made ready; raise the refusal of one that cannot be."""
        document = self._kept.get(text)
        if document is None:
            document = self._prepare(text)
            self._keep(text, document)
        else:
            self._kept.move_to_end(text)
        return document

    def _keep(self, text: str, document: PreparedDocument) -> None:
        self._kept[text] = document
        self._kept_bytes += document.size_bytes
        while self._kept_bytes > _MOST_KEPT_BYTES:
            _, oldest = self._kept.popitem(last=False)
            self._kept_bytes -= oldest.size_bytes

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
                operations[name] = PreparedOperation(name, node.operation, document, cost, plan)
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
