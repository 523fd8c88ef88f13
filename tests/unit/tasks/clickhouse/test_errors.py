"""Errors of the driver become ours by code; no text of a server brings a credential along."""

import traceback

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError
from hypothesis import given
from hypothesis import strategies as st

from tasks.clickhouse.errors import redacted, refusal, translated
from tasks.domain.errors import (
    ActionFailed,
    BackupError,
    ClusterBusy,
    ClusterUnavailable,
    NotAllowed,
    ServerError,
    TransientError,
)

SECRET = "hunter2"
BODY = '{"status":"error","operation":"create x","error":"%s"}'


def sidecar_says(error: str) -> DatabaseError:
    text = f"Code: 86. DB::Exception: Received error from remote server: {BODY % error}"
    return DatabaseError(text, code=86)


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        pytest.param(OperationalError("Error connecting"), ClusterUnavailable, id="no-code"),
        pytest.param(DatabaseError("x", code=516), NotAllowed, id="wrong-password"),
        pytest.param(DatabaseError("x", code=497), NotAllowed, id="missing-grant"),
        pytest.param(DatabaseError("x", code=1000), ClusterUnavailable, id="sidecar-away"),
        pytest.param(DatabaseError("x", code=159), ClusterUnavailable, id="timeout"),
        pytest.param(DatabaseError("x", code=242), ClusterUnavailable, id="read-only-table"),
        pytest.param(DatabaseError("x", code=60), ServerError, id="unknown-table"),
        pytest.param(DatabaseError("x", code=62), ServerError, id="syntax"),
        pytest.param(sidecar_says("disk is full"), ActionFailed, id="sidecar-refuses"),
        pytest.param(
            sidecar_says("another operation is currently running"), ClusterBusy, id="sidecar-busy"
        ),
        pytest.param(DatabaseError("no body", code=86), ActionFailed, id="refusal-without-body"),
        pytest.param(
            DatabaseError('{"status":"err', code=86), ActionFailed, id="refusal-with-half-a-body"
        ),
    ],
)
def test_an_error_is_classified_by_its_code(error: DatabaseError, ours: type[BackupError]) -> None:
    found = translated(error, where="replica-1")
    assert type(found) is ours
    assert "replica-1" in str(found)


def test_the_word_busy_in_a_servers_own_text_is_not_a_busy_sidecar() -> None:
    error = DatabaseError("another operation is currently running", code=60)
    assert not isinstance(translated(error, where="r"), TransientError)


def test_a_servers_error_keeps_its_code() -> None:
    found = translated(DatabaseError("x", code=57), where="r")
    assert isinstance(found, ServerError)
    assert found.code == 57


def test_the_sidecars_own_words_are_told() -> None:
    assert "disk is full" in str(translated(sidecar_says("disk is full"), where="r"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param(f"x {BODY % 'e'} y", ("create x", "e"), id="body-inside-a-text"),
        pytest.param('{"status":"error"}', ("", ""), id="body-without-error"),
        pytest.param("no body", None, id="no-body"),
        pytest.param('{"status":', None, id="half-a-body"),
    ],
)
def test_a_refusal_is_read_from_its_json(text: str, found: tuple[str, str] | None) -> None:
    read = refusal(text)
    assert (None if read is None else (read.operation, read.error)) == found


LEAKS = [
    pytest.param(f"http://user:{SECRET}@127.0.0.1:7171/backup/actions", id="url"),
    pytest.param(f"http://user:a/{SECRET}@127.0.0.1:7171/backup/actions", id="slash-in-password"),
    pytest.param(f"http://user:a@{SECRET}@127.0.0.1:7171/", id="at-sign-in-password"),
    pytest.param(f"https://{SECRET}@host/", id="token-in-url"),
    pytest.param(f"http://h:7171/backup/actions?user={SECRET}&pass={SECRET}", id="query"),
    pytest.param(
        f"URL('http://h:7171/backup/list?user=a&pass={SECRET}', 'JSONEachRow')", id="url-engine"
    ),
    pytest.param(f"URL(\\'http://h/x?pass={SECRET}\\')", id="escaped-url-engine"),
    pytest.param(f"--env=CLICKHOUSE_PASSWORD={SECRET} weekly", id="environment"),
    pytest.param(f"S3_SECRET_KEY={SECRET}", id="s3-secret"),
    pytest.param(f"AWSAccessKeyId={SECRET}&Signature={SECRET}", id="signed-url"),
    pytest.param(f"X-Amz-Credential={SECRET}&X-Amz-Signature={SECRET}", id="signed-url-v4"),
    pytest.param(f"sig={SECRET}", id="azure"),
    pytest.param(f"password='{SECRET}'", id="quoted"),
    pytest.param(f"password = 'two {SECRET}'", id="quoted-with-blanks"),
    pytest.param(f"password='{SECRET}", id="quote-cut-off"),
    pytest.param(f'{{"password": "{SECRET}"}}', id="json"),
    pytest.param(f'{{\\"password\\": \\"{SECRET}\\"}}', id="escaped-json"),
    pytest.param(f"password: {SECRET}", id="yaml"),
    pytest.param(f"X-ClickHouse-Key: {SECRET}", id="header"),
    pytest.param("Authorization: Basic aHVudGVyMg==", id="basic"),
    pytest.param(f"Authorization: Bearer abcdefgh{SECRET}", id="bearer"),
    pytest.param(f"CREATE USER a IDENTIFIED WITH sha256_password BY '{SECRET}'", id="user"),
    pytest.param(f"CREATE USER a IDENTIFIED BY '{SECRET}'", id="user-by-password"),
    pytest.param(f"ENGINE = S3('http://h/b', 'key', '{SECRET}', 'CSV')", id="s3-engine"),
    pytest.param(f"mysql('h:3306', 'd', 't', 'u', '{SECRET}')", id="mysql"),
    pytest.param(f"MySQL('h:3306', 'd', 't', 'u)', '{SECRET}')", id="bracket-in-argument"),
    pytest.param(f"PASS={SECRET}\nPASSWORD={SECRET}", id="several-lines"),
]
every_leak = pytest.mark.parametrize("text", LEAKS)


@every_leak
def test_no_credential_is_told(text: str) -> None:
    """Weak point 21: a password stood on a command line."""
    shown = redacted(f"Code: 1. {text} failed")
    assert SECRET not in shown
    assert "aHVudGVyMg" not in shown
    assert "[hidden]" in shown


@every_leak
def test_no_traceback_of_ours_prints_a_credential(text: str) -> None:
    """A traceback prints the driver's error, too, which is the cause of ours."""
    error = DatabaseError(f"Code: 60. {text}", code=60)
    try:
        raise translated(error, where="r") from error
    except BackupError as ours:
        printed = "".join(traceback.format_exception(ours))
    assert SECRET not in printed
    assert "aHVudGVyMg" not in printed


@pytest.mark.parametrize(
    "text",
    [
        "Code: 516. default: Authentication failed: password is incorrect",
        "NoSuchKey: The specified key does not exist.",
        "table shop.users does not exist in database shop",
        "ENGINE = ReplicatedMergeTree('/clickhouse/{shard}', '{replica}') ORDER BY key",
        "http://127.0.0.1:7171/backup/actions answers 500",
    ],
)
def test_a_harmless_text_is_told_as_it_is(text: str) -> None:
    assert redacted(text) == text


@given(
    st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=4, max_size=20)
)
def test_no_password_in_a_query_is_told_whatever_its_letters(password: str) -> None:
    encoded = "".join(f"%{ord(letter):02X}" for letter in password)
    assert encoded not in redacted(f"http://h:7171/backup/actions?user=a&pass={encoded}: refused")


def test_a_text_becomes_one_line_of_bounded_length() -> None:
    shown = redacted("first\n\tsecond\r\n" + "x" * 10_000)
    assert shown.startswith("first second x")
    assert shown.endswith("...")
    assert len(shown) < 700


@pytest.mark.parametrize(
    "unit", ["a-", "//", "s3(", "pass=", "password='\\a", "identified ", "'\\"]
)
def test_a_text_of_any_length_is_told_at_once(unit: str) -> None:
    """Backtracking over a long text would hang the whole operation."""
    assert len(redacted(unit * 100_000)) < 700
