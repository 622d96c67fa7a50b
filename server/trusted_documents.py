"""The documents that TRUSTED_DOCUMENTS names: read, made ready at the start, and found by what clients call them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from core.settings import Settings, SettingsError
from server.documents import Documents, PreparedDocument, hash_of
from server.errors import RefusedError

SHA256_PREFIX: Final = "sha256:"
_APOLLO_FORMAT: Final = "apollo-persisted-query-manifest"


class _Found(NamedTuple):
    """A document as it was found; `place` says where, for who has to mend it."""

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
        raise _wrong(f"{found.place}: {_told(refusal)}") from None


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


def _told(refusal: RefusedError) -> str:
    error = refusal.errors[0]
    message: str = error["message"]
    for location in error.get("locations", ())[:1]:
        message += " (line {line}, column {column})".format(**location)
    return message


def _wrong(reason: str) -> SettingsError:
    return SettingsError(f"TRUSTED_DOCUMENTS is wrong: {reason}")
