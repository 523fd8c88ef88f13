"""Data behind an INSERT reach the engine whole."""

import re
from pathlib import Path

import pytest

from deployments.sandbox.inline_data import readable

DATA = b"\x0a\x0a\x00FORMAT x\x0a\x0a"


@pytest.mark.parametrize(
    ("before", "target", "output_format"),
    [
        pytest.param(
            b"INSERT INTO d.`t` (`a`, `b`) FORMAT Native\n",
            b"INSERT INTO d.`t` (`a`, `b`)",
            b" FORMAT Native",
            id="columns",
        ),
        pytest.param(
            b"insert into t settings async_insert = 0 format RowBinary\n",
            b"insert into t",
            b" settings async_insert = 0 format RowBinary",
            id="settings",
        ),
    ],
)
def test_data_with_a_blank_line_go_through_a_file(
    before: bytes, target: bytes, output_format: bytes
) -> None:
    with readable(before + DATA) as statement:
        parts = re.fullmatch(rb"(.+) FROM INFILE '(.+)'(.+)", statement)
        assert parts is not None
        assert (parts[1], parts[3]) == (target, output_format)
        file = Path(parts[2].decode())
        assert file.read_bytes() == DATA
    assert not file.exists()


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(b"INSERT INTO t FORMAT TSV\n1\n2\n", id="no-blank-line"),
        pytest.param(b"INSERT INTO t VALUES (1)\n\n", id="values"),
        pytest.param(b"SELECT 1\n\nFORMAT Native\n\n", id="no-insert"),
    ],
)
def test_anything_else_stays_as_it_is(statement: bytes) -> None:
    with readable(statement) as same:
        assert same == statement
