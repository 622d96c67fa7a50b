"""Documents that requests name: trusted ones, and by Apollo's protocol those that were sent before with their hash."""

import re
from typing import Final

from graphql import GraphQLError

from core.settings import Settings
from server.documents import Documents, PreparedDocument, hash_of, untrusted
from server.errors import RefusedError, refuse, refuse_document
from server.request_body import PersistedQuery
from server.trusted_documents import SHA256_PREFIX, trusted_documents

_VERSION: Final = 1
_SHA256: Final = re.compile("[0-9a-f]{64}")
_NOT_FOUND: Final = ("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND")
_NOT_SUPPORTED: Final = ("PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED")


class NamedDocuments:
    """Finds documents by their names; the trusted ones are made ready first."""

    def __init__(self, documents: Documents, settings: Settings) -> None:
        self._documents = documents
        self._trusted = trusted_documents(documents, settings)
        self._trusted_only = settings.trusted_documents_only

    def get(self, reference: str | PersistedQuery, text: str) -> PreparedDocument:
        """Return the document that is named; a text beside the name is what counts, and is kept for its hash."""
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
            raise _as_apollo(*_NOT_SUPPORTED)
        name = reference.sha256_hash
        if not isinstance(name, str):
            raise refuse(400, "`sha256Hash` must be a string.")
        if name not in self._trusted:
            _check_hash(name)
        document = self._find(name, name, text)
        if document is None:
            raise _as_apollo(*_NOT_FOUND)
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


def _as_apollo(message: str, code: str) -> RefusedError:
    # 200 for every media type, as Apollo Server answers: some of its clients give up at any other status.
    return RefusedError(200, [{"message": message, "extensions": {"code": code}}])
