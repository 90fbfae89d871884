"""Watch the folders of an index, and update the index when their images change."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from watchfiles import Change, watch

from kadr.collection.listing import is_local, may_be_image
from kadr.collection.local_files import NO_MEDIA_NAMES, local_root
from kadr.errors import KadrError, SearchError
from kadr.io.storage import exclusive_lock
from kadr.io.system_files import system_path_kind
from kadr.io.versions import Versions

logger = logging.getLogger(__name__)

POLL_SECONDS = 30.0
"""Default number of seconds between two checks of a folder whose file system does not report changes."""

REMOTE_SECONDS = 600.0
"""Number of seconds between two updates if an address is not a local folder."""

_QUIET_MS = 1000  # an update starts when nothing has changed for this time, so that a file is written completely
_MAX_WAIT_MS = 15_000  # an update starts at the latest after this time, even while a large copy goes on
_CHECK_MS = 1000  # time between two checks of the folders themselves
_FIRST_RETRY_S, _MAX_RETRY_S = 30.0, 600.0
_NETWORK_TYPES = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "vboxsf", "afs", "ceph", "davfs", "fuse.")
"""Types of file systems that do not report the changes of other machines. Type fuse.* covers sshfs and rclone."""

Update = Callable[[], Sequence[str]]
"""Function that updates the index, and returns the addresses of the index."""

_Identity = tuple[int, int] | None  # device and inode of a folder, or None if the folder does not exist


@contextmanager
def watch_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of the process that watches the folders of an index. Raise SearchError if there is another one.

    Args:
        folder: path of the link to the current version of the index.
    """
    home = Versions(folder).home
    home.mkdir(parents=True, exist_ok=True)
    busy = SearchError(f"{folder}: another `kadr index --watch` watches the folders of this index. Stop it first.")
    with exclusive_lock(home / "watch.lock", busy):
        yield


def watch_folders(
    addresses: Sequence[str],
    update: Update,
    *,
    poll_seconds: float | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Update an index now, and whenever images below its folders are added, changed, moved or deleted.

    An error of a later update is logged once. The update is then tried again after the next change, after 30 s, and
    later after up to 10 minutes. A folder that disappears, such as a drive that is disconnected, is watched again when
    it comes back. Remote addresses are not watched, but updated every 10 minutes.

    Args:
        addresses: addresses of the index.
        update: function that updates the index.
        poll_seconds: number of seconds between two checks of all files. None uses the notifications of the operating
            system, except for network file systems.
        stop: event that ends the function. None runs until KeyboardInterrupt.

    Raises:
        KadrError: the first update failed.
    """
    stop = stop or threading.Event()
    watcher = _Watcher(poll_seconds, stop)
    updates = _Updates(update, addresses)
    while not stop.is_set():
        roots = updates.local_roots()
        identities = [_identify(root) for root in roots]
        is_started = False
        for has_changed in watcher.changes(
            [root for root, identity in zip(roots, identities, strict=True) if identity]
        ):
            if has_changed or not is_started or updates.is_due():
                is_started = True
                updates.run()
            if updates.local_roots() != roots or [_identify(root) for root in roots] != identities:
                break


class _Updates:
    """Run updates, log their errors without repetition, and decide when to try again.

    Args:
        update: function that updates the index.
        addresses: addresses of the index.
    """

    def __init__(self, update: Update, addresses: Sequence[str]) -> None:
        self._update, self._addresses = update, addresses
        self._has_succeeded = False
        self._last_error = ""
        self._retry_s = _FIRST_RETRY_S
        self._next = float("inf")

    def local_roots(self) -> list[str]:
        """Return the absolute paths of the local addresses, without symbolic links."""
        return [os.path.realpath(local_root(address)) for address in self._addresses if is_local(address)]

    def is_due(self) -> bool:
        """Return whether it is time for an update even if no change was reported."""
        return time.monotonic() >= self._next

    def run(self) -> None:
        """Update the index. Log an error, unless it is an error of the first update or the same error as before."""
        try:
            self._addresses = self._update()
        except Exception as error:  # the watch must survive any error of one update
            if not self._has_succeeded:
                raise
            if str(error) != self._last_error:
                logger.log(logging.ERROR, "%s", error, exc_info=not isinstance(error, KadrError))
            self._last_error = str(error)
            self._next = time.monotonic() + self._retry_s
            self._retry_s = min(2 * self._retry_s, _MAX_RETRY_S)
            return
        if self._last_error:
            logger.info("The index is up to date again.")
        remote = [address for address in self._addresses if not is_local(address)]
        if remote and not self._has_succeeded:
            logger.warning("%s: not a local folder, updated every %.0f minutes", ", ".join(remote), REMOTE_SECONDS / 60)
        self._has_succeeded, self._last_error, self._retry_s = True, "", _FIRST_RETRY_S
        self._next = time.monotonic() + REMOTE_SECONDS if remote else float("inf")


class _Watcher:
    """Watch folders, with notifications of the operating system if possible.

    Args:
        poll_seconds: number of seconds between two checks of all files. None chooses by the file system.
        stop: event that ends the watch.
    """

    def __init__(self, poll_seconds: float | None, stop: threading.Event) -> None:
        self._poll_seconds, self._stop = poll_seconds, stop
        self._last_warning = ""

    def changes(self, roots: Sequence[str]) -> Iterator[bool]:
        """Yield every second whether images below the folders may have changed.

        Every change after the first item is reported. The iteration ends if the folders cannot be watched any more.

        Args:
            roots: absolute paths of existing folders or files.
        """
        poll_seconds = self._poll_seconds
        if poll_seconds is None and (network := [root for root in roots if is_network_folder(root)]):
            self._warn(f"{', '.join(network)}: network folder, checked for changes every {POLL_SECONDS:.0f} s")
            poll_seconds = POLL_SECONDS
        if not roots:
            yield from self._wait()
            return
        try:
            yield from _watch(roots, poll_seconds, self._stop)
        except (OSError, RuntimeError) as error:
            self._warn(
                f"The operating system cannot report changes ({error}), so the folders are checked every "
                f"{POLL_SECONDS:.0f} s. On Linux, a larger fs.inotify.max_user_watches allows more folders."
            )
            with suppress(OSError, RuntimeError):
                yield from _watch(roots, POLL_SECONDS, self._stop)
            self._stop.wait(POLL_SECONDS)

    def _wait(self) -> Iterator[bool]:
        while not self._stop.wait(_CHECK_MS / 1000):
            yield False

    def _warn(self, warning: str) -> None:
        if warning != self._last_warning:
            logger.warning("%s", warning)
        self._last_warning = warning


def _watch(roots: Sequence[str], poll_seconds: float | None, stop: threading.Event) -> Iterator[bool]:
    for changes in watch(
        *roots,
        watch_filter=lambda change, path: _is_relevant(change, path, roots),
        debounce=_MAX_WAIT_MS,
        step=_QUIET_MS,
        rust_timeout=_CHECK_MS,
        yield_on_timeout=True,
        stop_event=stop,
        force_polling=poll_seconds is not None,
        poll_delay_ms=int(1000 * (poll_seconds or POLL_SECONDS)),
        ignore_permission_denied=True,
    ):
        yield bool(changes)


def _is_relevant(change: Change, path: str, roots: Sequence[str]) -> bool:
    """Return whether a change can change the images of the index. Temporary and system files cannot."""
    root = next((root for root in roots if _is_inside(path, root)), "")
    name = os.path.basename(path)
    if name in NO_MEDIA_NAMES:
        return True
    if path != root and system_path_kind(os.path.relpath(path, root or "/")) is not None:
        return False
    if change is Change.deleted or os.path.isdir(path):
        return may_be_image(path, exists=False)
    return may_be_image(path, exists=True)


def _identify(root: str) -> _Identity:
    """Return the device and the inode of a folder. Both change if a drive is mounted at the folder."""
    try:
        status = os.stat(root)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def is_network_folder(path: str, mounts: Path = Path("/proc/self/mounts")) -> bool:
    """Return whether a folder is on a network file system. The result is False if the operating system is not Linux.

    Args:
        path: absolute path of the folder.
        mounts: table of mounted file systems.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    types: dict[str, str] = {}
    for line in lines:
        _, mount_point, kind, *_ = line.split(" ")
        types[mount_point.encode("latin-1", "replace").decode("unicode_escape")] = kind
    inner = max((point for point in types if _is_inside(path, point)), key=len, default="")
    return types.get(inner, "").startswith(_NETWORK_TYPES)


def _is_inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
