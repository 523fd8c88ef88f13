"""The documentation holds: examples parse, links lead somewhere, every error is explained."""

import ast
import re
import shlex
from pathlib import Path

import pytest

from flows.__main__ import command_line
from tasks.domain import errors
from tasks.domain.inventory import Inventory

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(#[^)]*)?\)")


def _blocks(language: str):
    return [
        pytest.param(text, id=f"{page.relative_to(ROOT)}-{number}")
        for page in PAGES
        for number, (found, text) in enumerate(FENCE.findall(page.read_text()))
        if found == language
    ]


@pytest.mark.parametrize("text", _blocks("python"))
def test_every_python_example_is_python_that_a_notebook_takes(text):
    tree = compile(text, "example", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
    assert tree.body


@pytest.mark.parametrize("text", _blocks("yaml"))
def test_every_inventory_in_the_docs_is_accepted(text):
    assert Inventory.from_yaml(text, origin="docs").shards


@pytest.mark.parametrize("text", _blocks("bash"))
def test_every_command_of_ours_in_the_docs_is_one_that_the_program_takes(text):
    ours = [line for line in text.splitlines() if "-m flows" in line]
    for line in ours:
        words = shlex.split(line)
        assert command_line().parse_args(words[words.index("flows") + 1 :]).operation


@pytest.mark.parametrize("page", [pytest.param(p, id=str(p.relative_to(ROOT))) for p in PAGES])
def test_every_link_between_pages_leads_somewhere(page):
    missing = [
        target
        for target, _ in LINK.findall(page.read_text())
        if not (page.parent / target).exists()
    ]
    assert missing == []


def test_every_error_that_an_operator_can_see_has_its_runbook():
    classes = [
        name
        for name, found in vars(errors).items()
        if isinstance(found, type) and issubclass(found, errors.BackupError)
    ]
    groups = {"BackupError", "TransientError", "PermanentError"}
    page = (ROOT / "docs" / "runbooks" / "errors.md").read_text()
    explained = set(re.findall(r"^### (\w+)$", page, re.MULTILINE))
    assert explained == set(classes) - groups
