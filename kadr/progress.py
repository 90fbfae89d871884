"""Show a progress bar on a terminal. Without a terminal, log the progress every few seconds."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

logger = logging.getLogger(__name__)

Advance = Callable[[int], None]
"""Function that takes the number of newly finished items and updates the progress."""

LOG_INTERVAL_S = 5.0


@contextmanager
def progress(label: str, total: int) -> Iterator[Advance]:
    """Show the progress of the work in the `with` block.

    Args:
        label: description of the work, e.g. `hash files`.
        total: total number of items. Nothing is shown if there are no items.

    Yields:
        A function to call with the number of newly finished items.
    """
    if not total:
        yield lambda _n: None
    elif sys.stderr.isatty():
        with _show_bar(label, total) as advance:
            yield advance
    else:
        yield _log_progress(label, total)


@contextmanager
def _show_bar(label: str, total: int) -> Iterator[Advance]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total)
        yield lambda n: bar.advance(task, n)


class _Rate(TextColumn):
    def __init__(self) -> None:
        super().__init__("{task.speed:.0f}/s")

    def render(self, task):  # type: ignore[no-untyped-def]
        return super().render(task) if task.speed else ""


def _log_progress(label: str, total: int) -> Advance:
    start = last_logged = time.monotonic()
    done = 0

    def advance(n: int) -> None:
        nonlocal done, last_logged
        done += n
        now = time.monotonic()
        if now - last_logged >= LOG_INTERVAL_S or done >= total:
            last_logged = now
            rate = done / max(now - start, 1e-9)
            remaining = (total - done) / rate if rate else 0.0
            logger.info("%s: %d of %d, %.0f/s, %.0f s left", label, done, total, rate, remaining)

    return advance
