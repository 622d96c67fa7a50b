"""The rules of the architecture: which way imports run, how long files and functions get, what no file may name."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final[dict[str, set[str]]] = {
    "core": set(),
    "models": {"core"},
    "services": {"core", "models"},
    "assistant": {"core", "models", "services", "live"},
    "engine": set(),
    "live": {"core", "models", "services"},
    "graph": {"core", "models", "services", "live", "assistant", "engine"},
    "resolvers": {"core", "models", "services", "live", "assistant", "engine", "graph"},
    "server": {"core", "models", "services", "live", "assistant", "engine", "graph", "resolvers", "migrations"},
    "migrations": {"core", "models"},
}
MAX_FILE_LINES: Final = 400
MAX_FUNCTION_LINES: Final = 40
# What may be longer, and why.
LONG_FILES: Final[dict[str, str]] = {}
LONG_FUNCTIONS: Final[dict[str, str]] = {}
# Spelled in two parts, so that this file names none of them.
REGISTRY_HOSTS: Final = (
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "registry.npmjs" + ".org",
    "registry.yarnpkg" + ".com",
)
FOREIGN_PATH: Final = re.compile(r"(?<![\w.*<>)}\"'/-])/(?:root|work|tmp|home/\w+)/" + r"\w")


def tracked_files() -> list[Path]:
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("needs git, to know which files are the project's")
    return [path for name in listed.stdout.decode().splitlines() if (path := ROOT / name).is_file()]


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported_modules(path: Path) -> Iterator[str]:
    """Yield what a file imports, inside functions and for type checkers only, too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.relative_to(ROOT)} imports relatively: name the module in full"
            module = node.module or ""
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_every_folder_with_code_is_a_known_package() -> None:
    folders = {path.relative_to(ROOT).parts[0] for path in tracked_files() if path.suffix == ".py"}
    assert folders - {"tests", "bench", "examples"} <= PACKAGES.keys()


@pytest.mark.parametrize("package", PACKAGES)
def test_package_imports_only_packages_below_it(package: str) -> None:
    allowed = PACKAGES[package] | {package}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(package)
        for name in imported_modules(path)
        if (top := name.split(".")[0]) in PACKAGES.keys() | {"tests", "bench"} and top not in allowed
    ]
    assert wrong == []


def test_packages_form_no_cycle() -> None:
    assert set(TopologicalSorter(PACKAGES).static_order()) == PACKAGES.keys()


def test_files_form_no_import_cycle() -> None:
    names = {module_name(path): path for package in PACKAGES for path in modules(package)}
    graph = {
        name: {other for other in imported_modules(path) if other in names and other != name}
        for name, path in names.items()
    }
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"These files import each other: {' -> '.join(error.args[1])}")


def test_files_and_functions_are_short() -> None:
    long = []
    for path in tracked_files():
        if path.suffix != ".py" or "versions" in path.parts:
            continue
        name = str(path.relative_to(ROOT))
        source = path.read_text(encoding="utf-8")
        if source.count("\n") > MAX_FILE_LINES and name not in LONG_FILES:
            long.append(f"{name} has {source.count(chr(10))} lines")
        long += [
            f"{name}: {found}" for found in long_functions(source) if f"{name}:{found.split()[0]}" not in LONG_FUNCTIONS
        ]
    assert long == []


def long_functions(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                yield f"{node.name} has {lines} lines"


def test_modules_open_with_one_line_that_says_what_they_are() -> None:
    silent = []
    for path in tracked_files():
        if path.suffix != ".py" or not (source := path.read_text(encoding="utf-8")):
            continue
        docstring = ast.get_docstring(ast.parse(source))
        if docstring is None or not docstring.split("\n")[0].endswith("."):
            silent.append(str(path.relative_to(ROOT)))
    assert silent == []


def test_no_file_names_a_registry_or_a_path_of_somebodys_machine() -> None:
    found = []
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {host}" for host in REGISTRY_HOSTS if host in text]
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in FOREIGN_PATH.finditer(text)]
    assert found == []


def test_every_package_is_installed() -> None:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found = configuration["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {name.removesuffix("*") for name in found} == PACKAGES.keys()
    folders = {path.parent for package in PACKAGES for path in modules(package)}
    assert {str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").is_file()} == set()


def test_paths_that_make_quick_leaves_out_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    (slow,) = re.findall(r"^SLOW := (.*)$", makefile, re.MULTILINE)
    assert [path for path in slow.split() if not (ROOT / path).exists()] == []
