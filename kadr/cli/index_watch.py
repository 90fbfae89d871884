"""Keep an index up to date while its folders change, for the command `kadr index --watch`."""

import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from kadr.collection import IndexUpdate

Update = Callable[[], "IndexUpdate"]


def watch_index(
    out: Path,
    addresses: Sequence[str],
    first: Update,
    later: Update,
    report: Callable[["IndexUpdate"], None],
    *,
    poll_seconds: float | None,
) -> None:
    """Update an index until the user presses Ctrl-C or the process receives SIGTERM.

    Args:
        out: path of the index.
        addresses: addresses that the user named. If empty, the addresses of the last update are watched.
        first: function that updates the index for the first time.
        later: function that updates the index after a change.
        report: function that prints the summary of the first update.
        poll_seconds: number of seconds between two checks of the folders. None uses the notifications of the operating
            system.

    Raises:
        KadrError: the first update failed, or another process watches the folders of the index.
    """
    from kadr.collection.current_index import read_settings
    from kadr.collection.watch import watch_folders, watch_lock

    updates = iter([first])

    def update() -> Sequence[str]:
        run = next(updates, later)
        result = run()
        if run is first:
            report(result)
            typer.echo("Watching the folders for changes. Press Ctrl-C to stop.")
        elif result.published:
            typer.echo(f"{datetime.now():%H:%M:%S} {describe_update(result, out)}")
        found = result.index.details["addresses"]
        return [str(address) for address in found] if isinstance(found, list) else []

    logging.getLogger("kadr.embed").setLevel(logging.WARNING)
    with watch_lock(out), _stop_by_signal():
        watch_folders(addresses or read_settings(out)[0], update, poll_seconds=poll_seconds)


def describe_update(update: "IndexUpdate", out: Path) -> str:
    """Return the number of images of an index, and the changes of an update."""
    changes = ", ".join(f"{n:,} {change}" for change, n in update.changes.items() if n)
    state = "" if update.published else ", no new version"
    return f"{out}: {len(update.index.table):,} photos ({changes}{state})"


@contextmanager
def _stop_by_signal() -> Iterator[None]:
    """End the `with` block without an error if the user presses Ctrl-C, or the process receives SIGTERM."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("Stopped. The index contains all photos that were embedded so far.")
    finally:
        signal.signal(signal.SIGTERM, previous)
