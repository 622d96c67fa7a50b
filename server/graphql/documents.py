"""Documents prepared for execution: parsed, validated and costed once, then found by text, hash or trusted id."""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

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
from graphql.validation.rules import overlapping_fields_can_be_merged
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule

from core.cache import LRUCache
from core.permits import PermitQueue
from core.settings import Settings
from core.tasks import run_to_completion
from core.workload import Workload, current_workload
from engine import Plan
from server.graphql.budget import TokenBudget
from server.graphql.cost import Cost, compile_cost
from server.graphql.input_paths import set_input_paths
from server.graphql.limits import check_length, check_limits, count_tokens
from server.graphql.literals import BoundLiterals, SplitDocument, Template, make_template, split_literals
from server.graphql.trusted import FoundDocument, read_documents, wrong
from server.http.errors import RefusedError, refuse, refuse_document
from server.http.request_body import PersistedQuery

_MAX_VALIDATION_ERRORS: Final = 20
# Fields and fragments that are compared to find out whether they can be merged; ten for each token are unusual.
MAX_COMPARISONS: Final = 50_000
_ABORTED: Final = "Validation aborted."
overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = MAX_COMPARISONS
# The preparation of one takes about 20 milliseconds.
MAX_TOKENS_AT_ONCE: Final = 1_000
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

    def errors(self, errors: Sequence[GraphQLError]) -> list[GraphQLError]:
        """Return errors with their places in the text that was sent, those of values with their paths."""
        placed = set_input_paths(self.document, errors)
        return list(placed if self.literals is None else map(self.literals.relocate, placed))


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


class NewDocument(NamedTuple):
    """A document that has to be prepared, and the hash that it is to be registered under."""

    text: str
    split: SplitDocument | None
    tokens: int
    text_hash: str | None = None


class LongDocumentError(Exception):
    """Raised for a new document that takes too long to prepare while others wait."""

    def __init__(self, new: NewDocument) -> None:
        super().__init__(f"{new.tokens} tokens")
        self.new = new


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
        # Whether a long document raises LongDocumentError, and is left to `prepare_in_thread`.
        self.defers_long = False
        self._turns = PermitQueue(1, per_user=1, per_request=1)
        self._preparing: set[asyncio.Task[PreparedDocument | BoundDocument]] = set()
        self._budget = TokenBudget(settings.graphql_new_tokens_per_minute)
        self._trusted: dict[str, PreparedDocument] = {}
        self._trusted_by_name: dict[str, PreparedDocument] = {}
        if settings.trusted_documents is not None:
            self._load_trusted(settings.trusted_documents)

    @property
    def caches(self) -> tuple[LRUCache[Any, Any], ...]:
        """Return the caches whose counts /metrics shows."""
        return self.cache, self._texts, self._refused, self._budget.left

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

    async def prepare_in_thread(self, new: NewDocument) -> PreparedDocument | BoundDocument:
        """Return a long document, prepared in a thread, one at a time, in turns of clients; raise its refusal."""
        workload = current_workload.get()
        if not self._turns.take(workload):
            await self._turns.wait(workload)
        # Where its client is gone the thread works on: it keeps its turn, and what it has prepared.
        return await run_to_completion(self._prepare_in_turn(new, workload), self._preparing)

    async def _prepare_in_turn(self, new: NewDocument, turn: Workload | None) -> PreparedDocument | BoundDocument:
        try:
            # Another request may have brought it meanwhile.
            if (known := self._get_known(new.text, new.split)) is not None:
                return known
            return self._add(new, await asyncio.to_thread(self._prepare_or_refuse, new.text, new.split))
        finally:
            self._turns.give_back(turn)

    def _register(self, text_hash: str, text: str) -> PreparedDocument | BoundDocument:
        if text_hash != _hash_of(text):
            raise refuse(400, "provided sha does not match query", code="PERSISTED_QUERY_HASH_MISMATCH")
        try:
            document = self.get(text)
        except LongDocumentError as long:
            raise LongDocumentError(long.new._replace(text_hash=text_hash)) from None
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
            tokens = count_tokens(text, self._settings.graphql_max_tokens)
        except RefusedError as refused:
            self._remember(text, refused)
            raise
        self._budget.take(tokens)
        new = NewDocument(text, split, tokens)
        if self.defers_long and tokens > MAX_TOKENS_AT_ONCE:
            raise LongDocumentError(new)
        return self._add(new, self._prepare_or_refuse(text, split))

    def _get_known(self, text: str, split: SplitDocument | None) -> PreparedDocument | BoundDocument | None:
        """Return the document of a text, or of one that differs in literals; raise what it was refused by."""
        if (refusal := self._refused.get(text)) is not None:
            raise refusal.copy()
        shared = self.cache.get(text if split is None else split.key)
        return shared if shared is None or split is None else shared.bind(text, split)

    def _prepare_or_refuse(self, text: str, split: SplitDocument | None) -> PreparedDocument | RefusedError:
        """Return what a document is, or why it is refused, and change nothing."""
        try:
            return self._prepare(text, split)
        except RefusedError as refusal:
            return refusal.copy()

    def _add(self, new: NewDocument, prepared: PreparedDocument | RefusedError) -> PreparedDocument | BoundDocument:
        """Keep what was prepared, and return it for its text; raise the refusal."""
        text, split = new.text, new.split
        if isinstance(prepared, RefusedError):
            self._remember(text, prepared)
            raise prepared.copy()
        if new.text_hash is not None:
            self._texts.put(new.text_hash, text, _text_bytes(text))
        size_bytes = new.tokens * _TOKEN_BYTES + len(text) * _CHARACTER_BYTES
        key = text if split is None or prepared.template is None else split.key
        prepared.on_kept = partial(self._count_fields, key)
        self.cache.put(key, prepared, size_bytes)
        if split is None or prepared.template is None:
            return prepared
        return prepared.bind(text, split) or self._prepare(text)

    def _remember(self, text: str, refused: RefusedError) -> None:
        """Keep why a document is refused, without the traceback, whose frames hold the request."""
        messages = sum(len(error["message"]) for error in refused.errors)
        self._refused.put(text, refused.copy(), _text_bytes(text) + messages * _CHARACTER_BYTES)

    def _count_fields(self, key: str | tuple[str], fields: int) -> None:
        self.cache.grow(key, fields * _FIELD_BYTES)

    def _load_trusted(self, path: Path) -> None:
        """Prepare the trusted documents, each named by its id and by its hash, with and without the prefix."""
        for found in read_documents(path):
            document = self._trust(found)
            for name in (found.id, *_hashes(found.text)):
                if self._trusted_by_name.setdefault(name, document) is not document:
                    raise wrong(f"{found.place}: another document has the id {name!r} too")
            # Editors end a file with a line break, which those who print documents do not.
            bare = found._replace(id="", text=found.text.strip())
            self._trusted_by_name |= dict.fromkeys(_hashes(bare.text), self._trust(bare))
        if not self._trusted_by_name:
            raise wrong(f"{path} has no documents")

    def _trust(self, found: FoundDocument) -> PreparedDocument:
        if found.id.startswith(_SHA256_PREFIX) and found.id not in _hashes(found.text):
            raise wrong(f"{found.place}: the id is not the hash of the text, which is {_hash_of(found.text)}")
        try:
            if found.text not in self._trusted:
                count_tokens(found.text, self._settings.graphql_max_tokens)
                self._trusted[found.text] = self._prepare(found.text)
        except RefusedError as refusal:
            error = refusal.errors[0]
            places = [" (line {line}, column {column})".format(**each) for each in error.get("locations", ())[:1]]
            raise wrong("".join([f"{found.place}: {error['message']}", *places])) from None
        return self._trusted[found.text]

    def _prepare(self, text: str, split: SplitDocument | None = None) -> PreparedDocument:
        """Return the document of a text that is not too long, with its literals as variables where it is split."""
        document = _parse(text)
        check_limits(document, self._settings)
        errors = validate(
            self._schema,
            document,
            self._rules,
            max_errors=_MAX_VALIDATION_ERRORS,
            hide_suggestions=self._settings.is_production,
        )
        if any(error.message == _ABORTED for error in errors):
            message = (
                "Too many fields of one name, or fragments, stand in one place to compare them; select less there."
            )
            raise refuse(400, message, code="TOO_MANY_FIELDS", limit=MAX_COMPARISONS)
        if errors:
            raise refuse_document(set_input_paths(document, errors), "GRAPHQL_VALIDATION_FAILED")
        template = None if split is None else make_template(self._schema, document, split.literals)
        return PreparedDocument(self._schema, document, template)


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
