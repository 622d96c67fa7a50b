"""Reads trusted documents: from a manifest, ours or Apollo's, or from a folder of files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError

from core.settings import SettingsError


class _ApolloOperation(BaseModel):
    id: str
    body: str


class _ApolloManifest(BaseModel):
    format: Literal["apollo-persisted-query-manifest"]
    version: Literal[1]
    operations: list[_ApolloOperation]


_MANIFEST: Final[TypeAdapter[_ApolloManifest | dict[str, str]]] = TypeAdapter(_ApolloManifest | dict[str, str])


class FoundDocument(NamedTuple):
    """A document of a manifest or folder; `place` names it in error messages."""

    id: str
    text: str
    place: str


def read_documents(path: Path) -> Iterator[FoundDocument]:
    """Yield the documents of a manifest or folder; raise SettingsError where it is none."""
    if path.is_dir():
        for file in sorted(path.rglob("*.graphql")):
            yield FoundDocument(file.stem, _text_of(file), str(file))
        return
    try:
        manifest = _MANIFEST.validate_python(orjson.loads(_text_of(path)))
    except orjson.JSONDecodeError as error:
        raise wrong(f"{path} is not valid JSON: {error.msg}") from None
    except ValidationError:
        raise wrong(
            f"{path} is neither a map from ids to documents nor a manifest of the format "
            "'apollo-persisted-query-manifest', version 1"
        ) from None
    if isinstance(manifest, dict):
        texts = list(manifest.items())
    else:
        texts = [(each.id, each.body) for each in manifest.operations]
    for name, text in texts:
        yield FoundDocument(name, text, f"{path}: {name}")


def _text_of(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not valid UTF-8"
        raise wrong(f"{file} cannot be read: {reason}") from None


def wrong(reason: str) -> SettingsError:
    """Return the error of trusted documents that cannot be used."""
    return SettingsError(f"TRUSTED_DOCUMENTS is wrong: {reason}")
