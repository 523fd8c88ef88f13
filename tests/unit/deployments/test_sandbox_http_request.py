"""A request of the HTTP interface is read as ClickHouse would read it."""

import base64
import gzip
from collections.abc import Callable
from email.message import Message
from io import BytesIO

import lz4.frame
import pytest

from deployments.sandbox.http_request import BadRequest, Request, read_body

PLAIN = b"INSERT INTO t FORMAT TSV\n1\n"


def headers(**fields: str) -> Message:
    message = Message()
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    return message


def read(body: bytes, **fields: str) -> bytes:
    return read_body(BytesIO(body), headers(Content_Length=str(len(body)), **fields))


@pytest.mark.parametrize(
    ("target", "body", "statement"),
    [
        pytest.param("/?query=SELECT+1", b"", b"SELECT 1", id="in-the-address"),
        pytest.param("/", b"SELECT 1", b"SELECT 1", id="in-the-body"),
        pytest.param(
            "/?query=INSERT+INTO+t+FORMAT+TSV",
            b"1\n",
            b"INSERT INTO t FORMAT TSV\n1\n",
            id="statement-and-data",
        ),
    ],
)
def test_a_statement_is_address_and_body(target: str, body: bytes, statement: bytes) -> None:
    assert Request.from_http(target, headers(), body).statement == statement


def test_what_is_not_for_the_interface_is_a_setting() -> None:
    request = Request.from_http(
        "/?database=d&query_id=q&max_threads=2&param_a=x&readonly=1", headers(), b""
    )
    assert request.settings == {"max_threads": "2", "readonly": "1"}
    assert request.parameters == {"a": "x"}
    assert (request.database, request.query_id) == ("d", "q")


def test_a_request_without_an_id_gets_one_of_its_own() -> None:
    first, second = (Request.from_http("/", headers(), b"SELECT 1") for _ in range(2))
    assert first.query_id != second.query_id


@pytest.mark.parametrize(
    ("target", "given"),
    [
        pytest.param("/", {"X_ClickHouse_User": "u", "X_ClickHouse_Key": "p:w"}, id="headers"),
        pytest.param("/?user=u&password=p%3Aw", {}, id="address"),
        pytest.param(
            "/", {"Authorization": "Basic " + base64.b64encode(b"u:p:w").decode()}, id="basic"
        ),
    ],
)
def test_credentials_are_found_wherever_a_client_puts_them(
    target: str, given: dict[str, str]
) -> None:
    request = Request.from_http(target, headers(**given), b"")
    assert (request.user, request.password) == ("u", "p:w")


def test_who_gives_no_name_is_the_default_user() -> None:
    request = Request.from_http("/", headers(), b"")
    assert (request.user, request.password) == ("default", "")


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        pytest.param("gzip", gzip.compress, id="gzip"),
        pytest.param("lz4", lz4.frame.compress, id="lz4"),
    ],
)
def test_a_body_may_be_several_compressed_frames(
    encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    body = compress(PLAIN[:5]) + compress(PLAIN[5:])
    assert read(body, Content_Encoding=encoding) == PLAIN


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(BadRequest) as refused:
        read(b"x", Content_Encoding="snappy")
    assert refused.value.code == 89


def test_chunks_are_put_together_and_the_next_request_is_left_alone() -> None:
    stream = BytesIO(b"3\r\nabc\r\n2;name=x\r\nde\r\n0\r\n\r\nGET /")
    body = read_body(stream, headers(Transfer_Encoding="chunked"))
    assert body == b"abcde"
    assert stream.read() == b"GET /"


def form(*fields: str) -> tuple[Message, bytes]:
    lines = [f"--b\r\nContent-Disposition: form-data; {field}\r\n" for field in fields]
    return headers(Content_Type="multipart/form-data; boundary=b"), (
        "".join(lines) + "--b--\r\n"
    ).encode()


def test_long_parameters_come_in_a_form() -> None:
    query = 'name="query"\r\nContent-Type: text/plain\r\n\r\nSELECT {a:String}'
    head, body = form(query, 'name="param_a"\r\n\r\nx\ny')
    request = Request.from_http("/?max_threads=2", head, body)
    assert request.statement == b"SELECT {a:String}"
    assert request.parameters == {"a": "x\ny"}
    assert request.settings == {"max_threads": "2"}


@pytest.mark.parametrize(
    ("field", "code"),
    [
        pytest.param('name="t"; filename="t"\r\n\r\n1', 48, id="external-table"),
        pytest.param(f'name="param_a"\r\n\r\n{"x" * 131_073}', 290, id="too-long"),
    ],
)
def test_a_form_that_a_server_would_not_take_is_refused(field: str, code: int) -> None:
    with pytest.raises(BadRequest) as refused:
        Request.from_http("/", *form(field))
    assert refused.value.code == code
