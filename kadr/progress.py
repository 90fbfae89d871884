"""Show a progress bar on a terminal. Without a terminal, log the progress every few seconds."""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

logger = logging.getLogger(__name__)

Advance = Callable[[int], None]
"""Function that takes the number of newly finished items and updates the progress."""

LOG_INTERVAL_S = 5.0

_Show = Callable[[float], None]  # function that takes the number of all finished items and shows it


@contextmanager
def progress(label: str, total: int) -> Iterator[Advance]:
    """Show the progress of the work in the `with` block.

    Within `overall_progress`, the work is a step of a part of the overall work, and has no bar of its own.

    Args:
        label: description of the work, e.g. `hash files`.
        total: total number of items. Nothing is shown if there are no items.

    Yields:
        A function to call with the number of newly finished items.
    """
    overall = _OVERALL.get()
    if not total:
        yield lambda _n: None
    elif overall is not None:
        yield overall.advance_step(label, total)
    else:
        with _show_progress(label, total, 0) as show:
            yield _count(show)


class OverallProgress:
    """The progress of work that consists of parts, e.g. batches of images. Each part has the same steps.

    Args:
        show: function that shows the number of finished items.
        n_done: number of items that were finished before.
        steps: label of a step -> share of the time of the work, e.g. {"scan images": 0.3, "embed images": 0.7}.
    """

    def __init__(self, show: _Show, n_done: int, steps: Mapping[str, float]) -> None:
        self._show, self._done, self._steps = show, float(n_done), steps
        self._n_part, self._end = 0, self._done

    @contextmanager
    def part(self, n_items: int) -> Iterator[None]:
        """Show the progress of a part of the work: `progress` in the `with` block advances the overall progress."""
        self._n_part, self._end = n_items, self._done + n_items
        token = _OVERALL.set(self)
        try:
            yield
        finally:
            _OVERALL.reset(token)
        self._done = self._end
        self._show(self._done)

    def advance_step(self, label: str, total: int) -> Advance:
        """Return a function that advances one step of the current part.

        Args:
            label: label of the step.
            total: total number of items of the step.
        """
        per_item = self._steps.get(label, 0.0) * self._n_part / total

        def advance(n: int) -> None:
            if self._done < self._end:
                self._done = min(self._done + n * per_item, self._end - 1)  # the part ends after its last step
                self._show(self._done)

        return advance


@contextmanager
def overall_progress(
    label: str, total: int, steps: Mapping[str, float], *, n_done: int = 0
) -> Iterator[OverallProgress]:
    """Show one progress bar for work that consists of parts with several steps.

    Args:
        label: description of the work, e.g. `index images`.
        total: total number of items.
        steps: label of a step -> share of the time of the work.
        n_done: number of items that were finished before. They do not count for the time left.
    """
    with _show_progress(label, total, n_done) as show:
        yield OverallProgress(show, n_done, steps)


def in_overall_progress() -> bool:
    """Return whether the work is a part of `overall_progress`, so that messages about the part can be left out."""
    return _OVERALL.get() is not None


_OVERALL: ContextVar[OverallProgress | None] = ContextVar("overall_progress", default=None)


def describe_duration(seconds: float) -> str:
    """Return a duration as text.

    >>> describe_duration(42), describe_duration(190), describe_duration(7330)
    ('42 s', '3 min 10 s', '2 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def _count(show: _Show) -> Advance:
    done = 0

    def advance(n: int) -> None:
        nonlocal done
        done += n
        show(done)

    return advance


@contextmanager
def _show_progress(label: str, total: int, n_done: int) -> Iterator[_Show]:
    if sys.stderr.isatty():
        with _show_bar(label, total, n_done) as show:
            yield show
    else:
        yield _log_progress(label, total, n_done)


@contextmanager
def _show_bar(label: str, total: int, n_done: int) -> Iterator[_Show]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _TimeLeft(n_done))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total, completed=n_done)
        yield lambda done: bar.update(task, completed=done)


class _TimeLeft(ProgressColumn):
    """The rate and the time left, both from the start of the work.

    Args:
        n_done: number of items that were finished at the start.
    """

    def __init__(self, n_done: int) -> None:
        super().__init__()
        self._n_done = n_done

    def render(self, task: Task) -> Text:
        return Text(_describe_rate(task.completed, int(task.total or 0), self._n_done, task.elapsed or 0.0))


def _log_progress(label: str, total: int, n_done: int) -> _Show:
    start = last_logged = time.monotonic()

    def show(done: float) -> None:
        nonlocal last_logged
        now = time.monotonic()
        if now - last_logged >= LOG_INTERVAL_S or done >= total:
            last_logged = now
            logger.info("%s: %d of %d, %s", label, done, total, _describe_rate(done, total, n_done, now - start))

    return show


def _describe_rate(done: float, total: int, n_done: int, seconds: float) -> str:
    rate = (done - n_done) / max(seconds, 1e-9)
    if rate <= 0:
        return ""
    left = describe_duration(max(total - done, 0) / rate)
    return f"{rate:.0f}/s, {left} left" if rate >= 10 else f"{rate:.1f}/s, {left} left"
