"""What can be asked of a verification, and what is refused in one sentence."""

from typing import Any

import pytest

from tasks.domain.errors import InvalidRequest
from tasks.domain.verify_request import VerifyLevel, VerifyRequest
from tests.builders import BACKUP


def test_a_verification_is_a_drill_unless_told_otherwise() -> None:
    assert VerifyRequest.from_form(backup=BACKUP).level is VerifyLevel.RESTORE


@pytest.mark.parametrize("word", ["latest", "oldest"])
def test_two_words_choose_a_backup(word: str) -> None:
    request = VerifyRequest.from_form(backup=word)
    assert request.selects
    assert request.of(BACKUP).backup == BACKUP
    assert not request.of(BACKUP).selects


@pytest.mark.parametrize(
    ("form", "word"),
    [
        pytest.param({"backup": "a b"}, "a b", id="name"),
        pytest.param({"backup": "pre-restore-1"}, "reserved", id="safety-copy"),
        pytest.param({"level": "deep"}, "level", id="level"),
        pytest.param({"drill_target": "staging"}, "staging", id="drill-target"),
        pytest.param({"options": {"keep_free_bytes": -1}}, "keep_free_bytes", id="free"),
        pytest.param({"options": {"nosuch": 1}}, "nosuch", id="unknown-option"),
    ],
)
def test_a_wrong_field_is_named(form: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidRequest, match=word):
        VerifyRequest.from_form(**({"backup": BACKUP} | form))
