"""Late tables: what starts by itself is created when all rows are back, unless rows need it."""

import pytest

from tasks.domain.tables import Table, late_tables
from tests.builders import inner_of, make_table, make_view

QUEUE = make_table("queue", engine="Kafka", rows=None)
REFRESHING = make_view(
    definition="CREATE MATERIALIZED VIEW shop.sums REFRESH EVERY 1 HOUR AS SELECT 1"
)


def late_names(*tables: Table) -> set[str]:
    return {table.name for table in late_tables(tables)}


def test_tables_that_wait_for_inserts_are_not_late() -> None:
    assert late_names(make_table(), make_view(), make_table("d", engine="Distributed")) == set()


def test_a_stream_is_late() -> None:
    assert late_names(make_table(), QUEUE) == {"queue"}


def test_a_view_that_refreshes_by_itself_is_late() -> None:
    assert late_names(make_table(), REFRESHING) == {"sums"}


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("shop.queue", id="plain"),
        pytest.param("`shop`.`queue`", id="quoted"),
        pytest.param("shop.orders AS o INNER JOIN shop.queue AS q ON o.id = q.id", id="joined"),
        pytest.param("(SELECT id FROM shop.queue)", id="subquery"),
    ],
)
def test_a_view_fed_by_a_stream_is_late_with_it(source: str) -> None:
    """Created before the rows are back it would forward what the stream brings."""
    assert late_names(QUEUE, make_view(source=source)) == {"queue", "sums"}


def test_a_view_of_a_table_with_a_longer_name_is_not_taken_for_a_view_of_the_stream() -> None:
    assert late_names(QUEUE, make_view(source="shop.queue_archive")) == {"queue"}


def test_a_view_of_a_table_in_another_database_is_not_taken_for_a_view_of_the_stream() -> None:
    assert late_names(QUEUE, make_view(source="crm.queue")) == {"queue"}


def test_a_refreshing_view_whose_own_rows_come_back_cannot_wait() -> None:
    assert late_names(REFRESHING, inner_of(REFRESHING)) == set()


def test_a_stream_that_feeds_rows_that_come_back_cannot_wait() -> None:
    """The inner table needs its view, and the view needs its source."""
    view = make_view(source="shop.queue")
    assert late_names(QUEUE, view, inner_of(view)) == set()


def test_one_stream_that_cannot_wait_does_not_hurry_another() -> None:
    other = make_table("other_queue", engine="RabbitMQ", rows=None)
    view = make_view(source="shop.queue")
    assert late_names(QUEUE, other, view, inner_of(view)) == {"other_queue"}


def test_no_table_is_late_twice() -> None:
    other = make_table("other_queue", engine="Kafka", rows=None)
    both = make_view(source="shop.queue AS a INNER JOIN shop.other_queue AS b ON a.id = b.id")
    assert len(late_tables([QUEUE, other, both])) == 3
