"""What every transport does with an operation: prepare it, then execute it or subscribe to it."""

import strawberry
from graphql import OperationType

from core.settings import Settings
from server.documents import Documents, PreparedDocument, PreparedOperation
from server.errors import refuse
from server.execution import Execution
from server.named_documents import NamedDocuments
from server.request_body import GraphQLRequest
from server.schema import core_schema
from server.subscription import Subscriptions


class Operations:
    """The operations of one schema."""

    def __init__(self, schema: strawberry.Schema, settings: Settings) -> None:
        self._documents = Documents(core_schema(schema), settings)
        self._named_documents = NamedDocuments(self._documents, settings)
        self.execution = Execution(schema, settings)
        self.subscriptions = Subscriptions(schema, settings, self.execution)

    def prepare(self, request: GraphQLRequest) -> PreparedOperation:
        """Return the operation that a request means; raise the refusal of one that cannot be executed."""
        return self._document(request).select(request.operation_name)

    def _document(self, request: GraphQLRequest) -> PreparedDocument:
        if request.reference is None:
            return self._documents.get(request.query)
        return self._named_documents.get(request.reference, request.query)


def require_post_for_mutations(operation: PreparedOperation, method: str) -> None:
    """Refuse a mutation by GET: links and pictures on other people's pages can send that."""
    if method == "GET" and operation.type is OperationType.MUTATION:
        raise refuse(405, "A mutation cannot be sent by GET; use POST.", headers=((b"allow", b"POST"),))
