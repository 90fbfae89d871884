"""The serve part's searcher in use, and its exchange for a new one when the pipeline has published it."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from kadr.errors import KadrError
from kadr.search import Searcher

logger = logging.getLogger(__name__)

State = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True)
class Loaded:
    """A searcher and when it was loaded (seconds since the epoch)."""

    searcher: Searcher
    at: float


class Live:
    """The searcher in use.

    Args:
        load: reads a searcher from disk.
        watched: files and folders from which `load` reads; a change of any file in them is a new version.
    """

    def __init__(self, load: Callable[[], Searcher], watched: Sequence[Path]) -> None:
        self._load, self._watched = load, watched
        self._checking = Lock()
        self._seen = self._state()
        self._tried = self._seen
        self.n_failed = 0
        self.newest = True  # whether what is loaded is the last that was tried
        self.loaded = Loaded(load(), time.time())

    def check(self) -> bool:
        """Load anew where the files have changed and lie still since the last check; whether that was done.

        A version that cannot be loaded is logged and the old one stays, until the files change again.
        """
        with self._checking:
            state = self._state()
            still, self._seen = state == self._seen, state
            if not still or state == self._tried:
                return False
            self._tried = state
            try:
                searcher = self._load()
            except Exception as error:  # a version written halfway may fail in any way
                self.n_failed += 1
                self.newest = False
                is_bug = not isinstance(error, KadrError)
                logger.log(
                    logging.ERROR, "the new version cannot be loaded, the old one goes on: %s", error, exc_info=is_bug
                )
                return False
            self.loaded, self.newest = Loaded(searcher, time.time()), True
            logger.info("a new version is loaded: %s photos", f"{len(searcher.index.photos):,}")
            return True

    def _state(self) -> State:
        """Name, inode, size and time of change of each watched file."""
        found = []
        for place in self._watched:
            try:
                for file in sorted([place, *place.rglob("*")]):
                    stat = file.stat()
                    found.append((str(file), stat.st_ino, stat.st_size, stat.st_mtime_ns))
            except OSError:  # it is missing, or is being replaced at this moment
                found.append((str(place), 0, 0, 0))
        return tuple(found)
