"""The house rules that a machine can check: arrows, duties, sizes, names."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

CHECKOUT = Path(__file__).resolve().parents[2]
ROOMS = ("flows", "tasks", "deployments", "crd_bridge", "tests")
MAX_FILE_LINES = 400
MAX_BODY_LINES = 40
DOMAIN_MAY_IMPORT = {"pydantic", "yaml", "tasks"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> list[Path]:
    found = [path for room in ROOMS for path in (CHECKOUT / room).rglob("*.py")]
    assert len(found) > len(ROOMS)
    return sorted(found)


def named(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


every_module = pytest.mark.parametrize("module", modules(), ids=named)


def functions(tree: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def body_lines(function: Function) -> int:
    """Lines of the body; the docstring does not count."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_every_import_follows_the_arrows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)
    assert lint_imports(no_cache=True) == 0


@every_module
def test_a_module_opens_with_its_duty(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text()))


@every_module
def test_a_module_stays_small(module: Path) -> None:
    assert len(module.read_text().splitlines()) <= MAX_FILE_LINES


@every_module
def test_a_function_stays_small(module: Path) -> None:
    tree = ast.parse(module.read_text())
    assert [f.name for f in functions(tree) if body_lines(f) > MAX_BODY_LINES] == []


@pytest.mark.parametrize(
    "module", [path for path in modules() if named(path).startswith("tasks/domain/")], ids=named
)
def test_the_domain_imports_the_standard_library_pydantic_and_yaml_only(module: Path) -> None:
    roots = {name.split(".")[0] for name in imported(ast.parse(module.read_text()))}
    assert roots <= DOMAIN_MAY_IMPORT | sys.stdlib_module_names


def test_no_flow_file_is_named_like_a_package() -> None:
    """Prefect may put `flows/` first on the path: such a file would then hide the package."""
    ours = {path.name for path in CHECKOUT.iterdir() if path.is_dir()}
    theirs = {path.name for path in Path(pytest.__file__).parents[1].iterdir() if path.is_dir()}
    flow_files = {path.stem for path in (CHECKOUT / "flows").glob("*.py")} - {
        "__init__",
        "__main__",
    }
    assert flow_files & (ours | theirs | sys.stdlib_module_names) == set()
