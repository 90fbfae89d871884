"""The library room's progress display: a bar on a terminal, a log line every few seconds elsewhere."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

logger = logging.getLogger(__name__)

Advance = Callable[[int], None]
LINE_EVERY_S = 5.0


@contextmanager
def progress(label: str, total: int) -> Iterator[Advance]:
    """Show how far a work of `total` items is; the yielded function is told how many more are done."""
    if not total:
        yield lambda _n: None
    elif sys.stderr.isatty():
        with _bar(label, total) as advance:
            yield advance
    else:
        yield _lines(label, total)


@contextmanager
def _bar(label: str, total: int) -> Iterator[Advance]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total)
        yield lambda n: bar.advance(task, n)


class _Rate(TextColumn):
    def __init__(self) -> None:
        super().__init__("{task.speed:.0f}/s")

    def render(self, task):  # type: ignore[no-untyped-def]
        return super().render(task) if task.speed else ""


def _lines(label: str, total: int) -> Advance:
    start = said = time.monotonic()
    done = 0

    def advance(n: int) -> None:
        nonlocal done, said
        done += n
        now = time.monotonic()
        if now - said >= LINE_EVERY_S or done >= total:
            said = now
            rate = done / max(now - start, 1e-9)
            left = (total - done) / rate if rate else 0.0
            logger.info("%s: %d of %d, %.0f/s, %.0f s left", label, done, total, rate, left)

    return advance
