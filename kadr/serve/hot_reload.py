"""Hot reload: load a new searcher when the index or the models on disk change."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from kadr.errors import KadrError
from kadr.search import Searcher

logger = logging.getLogger(__name__)

RELOAD_INTERVAL_S = 2.0
"""Number of seconds between two checks for a new version of the index or the models."""

FileState = tuple[str, int, int, int]
"""A file's path, inode number, size in bytes, and modification time in nanoseconds."""


@dataclass(frozen=True)
class LoadedSearcher:
    """A searcher and the time when it was loaded.

    Attributes:
        searcher: loaded searcher.
        loaded_at: time when the searcher was loaded, in seconds since the epoch.
    """

    searcher: Searcher
    loaded_at: float


class HotReload:
    """Provide the searcher in use, and replace it with a new searcher when the watched files change.

    Args:
        load: function that loads a searcher from disk.
        watched_paths: files and folders that `load` reads. A change in any of these files counts as a new version.

    Attributes:
        current: searcher in use, with the time when it was loaded.
        up_to_date: whether the searcher in use is the latest version on disk.
        n_failed_reloads: number of failed attempts to load a new searcher.
    """

    def __init__(self, load: Callable[[], Searcher], watched_paths: Sequence[Path]) -> None:
        self._load, self._watched_paths = load, watched_paths
        self._check_lock = Lock()
        self._last_state = self._read_state()
        self._tried_state = self._last_state
        self.n_failed_reloads = 0
        self.up_to_date = True
        self.current = LoadedSearcher(load(), time.time())

    def reload_if_changed(self) -> bool:
        """Load a new searcher if the watched files have changed and are complete.

        The files count as complete when they have not changed between two successive calls. If the new searcher cannot
        be loaded, the error is logged, and the current searcher stays in use until the files change again.

        Returns:
            True if a new searcher was loaded.
        """
        with self._check_lock:
            state = self._read_state()
            is_stable, self._last_state = state == self._last_state, state
            if not is_stable or state == self._tried_state:
                return False
            self._tried_state = state
            return self._reload()

    def _reload(self) -> bool:
        try:
            searcher = self._load()
        except Exception as error:  # incomplete files can raise any exception
            self.n_failed_reloads += 1
            self.up_to_date = False
            logger.log(
                logging.ERROR,
                "Cannot load the new version. The current version stays in use. Cause: %s",
                error,
                exc_info=not isinstance(error, KadrError),
            )
            return False
        self.current, self.up_to_date = LoadedSearcher(searcher, time.time()), True
        logger.info("Loaded a new version with %s images.", f"{len(searcher.index.table):,}")
        return True

    def _read_state(self) -> tuple[FileState, ...]:
        return tuple(state for path in self._watched_paths for state in _file_states(path))


def _file_states(path: Path) -> list[FileState]:
    """Return the states of a path and of everything below it. A missing path has a state of zeros."""
    states = []
    try:
        for file in sorted([path, *path.rglob("*")]):
            stat = file.stat()
            states.append((str(file), stat.st_ino, stat.st_size, stat.st_mtime_ns))
    except OSError:  # the path does not exist, or another process is replacing it
        states.append((str(path), 0, 0, 0))
    return states
