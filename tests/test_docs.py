"""What the documents name exists: paths, links, `make` targets, settings; and the table of settings is right."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from core.errors import ErrorReason, TasktalkError
from core.settings import Settings
from graph.payload import ErrorCode
from server.graphql.sockets import CloseCode
from tests.test_architecture import PACKAGES, ROOT, modules, tracked_files

DOCUMENTS: Final = [path for path in tracked_files() if path.suffix == ".md"]
FENCED: Final = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN: Final = re.compile(r"`([^`\n]+)`")
LINK: Final = re.compile(r"\]\((?!https?://)([^)\s]+)\)")
PATH: Final = re.compile(r"[\w.-]+(?:/[\w.-]+)+/?|[\w-]+\.(?:py|md|toml|graphql)")
CONSTANT: Final = re.compile(r"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=\S*)?")
VARIABLE: Final = re.compile(r"^\$? *(?:export )?([A-Z][A-Z0-9_]+)=", re.MULTILINE)
TARGET: Final = re.compile(r"^\$? *make ([a-z]+) *(?:$|[A-Z]+=|#|&&)", re.MULTILINE)
# What is built, or what a document proposes as an example.
NOT_KEPT: Final = re.compile(r"^data/|^web/dist|label|persisted-documents|persisted_queries|OpenTasks")
# Set in the shell alone, or read by uvicorn.
OTHER_VARIABLES: Final = {"API_URL", "AUTH", "FORWARDED_ALLOW_IPS", "PATH", "TASKTALK_HISTORY_S"}

# Constants of the server that are no codes of errors.
NO_CODES: Final = {"DIRECTIVE_DEFINITION", "FORWARDED_ALLOW_IPS", "TASKTALK_METRICS_FOLDER", "TCP_USER_TIMEOUT"}


def named(document: Path) -> str:
    return str(document.relative_to(ROOT))


def code_of(document: Path) -> tuple[list[str], list[str]]:
    """Return the code blocks and the code spans of a document."""
    text = document.read_text(encoding="utf-8")
    return FENCED.findall(text), SPAN.findall(FENCED.sub("", text))


def anchors_of(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def missing_paths(document: Path) -> Iterator[str]:
    """Yield the paths that begin with a folder of ours, or one beside the document, and lead nowhere."""
    names = {path.name for path in tracked_files()}
    for span in code_of(document)[1]:
        first, _, rest = span.partition("/")
        bases = [base for base in (ROOT, document.parent) if (base / first).exists()]
        is_there = any((base / span).exists() for base in bases) if rest else span in names
        if PATH.fullmatch(span) and not NOT_KEPT.search(span) and not is_there and (bases or not rest):
            yield span


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_document_names_paths_that_exist(document: Path) -> None:
    assert list(missing_paths(document)) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_document_links_to_places_that_exist(document: Path) -> None:
    missing = []
    for link in LINK.findall(document.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            missing.append(link)
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_document_names_commands_of_make_that_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    blocks, spans = code_of(document)
    assert {target for code in (*blocks, *spans) for target in TARGET.findall(code)} - targets == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_document_names_settings_and_constants_that_exist(document: Path) -> None:
    sources = [ROOT / "Makefile", ROOT / "schema.graphql", *ROOT.glob("bench/*.py"), *ROOT.glob("examples/*/*.py")]
    sources += [path for package in PACKAGES for path in modules(package)]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    known = set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", text)) | {name.upper() for name in Settings.model_fields}
    blocks, spans = code_of(document)
    found = {match[1] for span in spans if (match := CONSTANT.fullmatch(span))}
    found |= {name for block in blocks for name in VARIABLE.findall(block)}
    assert found - known - OTHER_VARIABLES == set()


def test_table_of_settings_is_what_the_settings_say() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    table = text.partition("| name | default | what it is |\n| --- | --- | --- |\n")[2].partition("\n\n")[0]
    assert table.splitlines() == [
        f"| `{name.upper()}` | {_shown(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]


def test_page_of_errors_lists_every_code_reason_and_close_code() -> None:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    codes, reasons, closes = (part.partition("\n## ")[0] for part in text.split("\n## ")[2:5])
    known = {kind.code for kind in _kinds_of(TasktalkError)} | set(ErrorCode.__members__)
    # What the server refuses by itself is written where it is refused.
    for path in modules("server"):
        constants = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
        known |= {each for each in constants if isinstance(each, str) and CONSTANT.fullmatch(each)}
    assert set(re.findall(r"`([A-Z]+(?:_[A-Z]+)*)`", _first_column(codes))) == known - NO_CODES
    assert set(re.findall(r"`(\w+)`", _first_column(reasons))) == set(ErrorReason)
    assert set(map(int, re.findall(r"\d+", _first_column(closes)))) == set(CloseCode)
    assert set(re.findall(r"`(\w+)` \| yes", codes)) == set(ErrorCode)


def _kinds_of(error: type[TasktalkError]) -> Iterator[type[TasktalkError]]:
    yield error
    for kind in error.__subclasses__():
        yield from _kinds_of(kind)


def _first_column(section: str) -> str:
    return "\n".join(line.split("|")[1] for line in section.splitlines() if line.startswith("|"))


def _shown(default: Any) -> str:
    return "" if default in ("", (), None) else f"`{default}`"


def test_record_of_private_names_lists_each_use() -> None:
    record = (ROOT / "docs" / "decisions" / "0016-private-names-of-dependencies.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `[\w.]+\.(_\w+)` \| `([\w/.]+)` \|", record, re.MULTILINE))
    used = set()
    for path in (path for package in PACKAGES for path in modules(package)):
        source = path.read_text(encoding="utf-8")
        found = re.findall(r"^(?:from|import) (\S+\._\S+)|\.(_\w+).*# noqa: SLF001", source, re.MULTILINE)
        used |= {(module or attribute, str(path.relative_to(ROOT))) for module, attribute in found}
    assert used == listed
