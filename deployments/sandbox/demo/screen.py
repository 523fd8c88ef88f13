"""What the demo shows in a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from deployments.sandbox.demo.contents import Contents, Snapshot
from deployments.sandbox.demo.flow_runs import Sighting
from tasks.domain.outcomes import Sheet

# Where nobody watches, the width of a terminal is a guess: wide enough for the longest line.
UNWATCHED_WIDTH = 132


class Screen:
    def __init__(self) -> None:
        watched = Console().is_terminal
        self._console = Console(width=None if watched else UNWATCHED_WIDTH, highlight=False)

    def say(self, sentence: str) -> None:
        self._console.print(sentence, markup=False)

    def title(self, sentence: str) -> None:
        self._console.print(f"\n[bold]{sentence}[/bold]")

    def verdict(self, sentence: str) -> None:
        """Stand as one line, whatever the width."""
        self._console.print(sentence, markup=False, soft_wrap=True)

    @contextmanager
    def following(self, what: str) -> Iterator[Callable[[Sighting], None]]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=40),
            TaskProgressColumn(),
            TextColumn("{task.fields[phase]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console) as bar:
            line = bar.add_task(what, total=100, phase="")

            def watch(seen: Sighting) -> None:
                percent = 100.0 if seen.over else seen.percent
                phase = (seen.state.name or "") if seen.over else seen.phase
                bar.update(line, completed=percent, phase=phase)

            yield watch

    def sheet(self, sheet: Sheet) -> None:
        table = Table(*sheet.lines[0], title=sheet.title)
        for line in sheet.lines:
            table.add_row(*(str(value) for value in line.values()))
        self._console.print(table, markup=False)

    def compare(self, before: Snapshot, after: Snapshot) -> None:
        table = Table(title="Rows and content hashes, before the backup and after the restore")
        for column in ("table", "shard"):
            table.add_column(column)
        for column in ("rows before", "rows after", "hash before", "hash after"):
            table.add_column(column, justify="right")
        table.add_column("same")
        for (name, shard), was in before.items():
            now = after.get((name, shard))
            same = "[green]yes[/green]" if was is not None and was == now else "[red]NO[/red]"
            rows, digests = (_rows(was), _rows(now)), (_digest(was), _digest(now))
            table.add_row(name, shard, *rows, *digests, same)
        self._console.print(table)


def _rows(contents: Contents | None) -> str:
    if contents is None:
        return "gone"
    return "definition" if contents.rows is None else f"{contents.rows:,}"


def _digest(contents: Contents | None) -> str:
    return "" if contents is None else contents.digest
