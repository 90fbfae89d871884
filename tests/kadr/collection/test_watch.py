"""Tests of `kadr index --watch`: changes in folders update the index."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from kadr.collection import watch
from kadr.collection.watch import is_network_folder, watch_folders, watch_lock
from kadr.errors import InputError, SearchError
from kadr.index import Index
from tests.kadr.collection.conftest import paths, run, write


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_QUIET_MS", 100)
    monkeypatch.setattr(watch, "_CHECK_MS", 100)


class Updates:
    """Updates of the index of `photos`, with their errors."""

    def __init__(self, out: Path, folders: Sequence[Path]) -> None:
        self.out, self.addresses = out, [str(folder) for folder in folders]
        self.n_started = 0

    def __call__(self) -> Sequence[str]:
        self.n_started += 1
        run(self.out, *self.addresses)
        return self.addresses


@contextmanager
def watching(updates: Updates, poll_seconds: float | None = None) -> Iterator[None]:
    """Watch the folders in a thread during the `with` block."""
    stop = threading.Event()
    thread = threading.Thread(
        target=watch_folders,
        args=(updates.addresses, updates),
        kwargs={"stop": stop, "poll_seconds": poll_seconds},
    )
    thread.start()
    try:
        wait_for(lambda: updates.out.exists() and updates.n_started >= 1)
        yield
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def wait_for(condition: Callable[[], object], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition was not met in time"
        time.sleep(0.1)


def indexed(out: Path) -> list[str]:
    return paths(Index.load(out))


def test_a_folder_is_polled(photos: Path, tmp_path: Path) -> None:
    updates = Updates(tmp_path / "index", [photos])
    with watching(updates, 0.2):
        write(photos / "2025" / "new.png", "yellow")
        wait_for(lambda: "new.png" in indexed(updates.out))


def test_new_changed_moved_and_deleted_images_are_followed(photos: Path, tmp_path: Path) -> None:
    updates = Updates(tmp_path / "out" / "index", [photos])
    with watching(updates):
        write(photos / "2025" / "deep" / "new.png", "yellow")
        wait_for(lambda: indexed(updates.out) == ["blue.jpg", "green.webp", "new.png", "red.png"])
        (photos / "2025").rename(photos / "2026")
        (photos / "red.png").unlink()
        wait_for(lambda: indexed(updates.out) == ["blue.jpg", "green.webp", "new.png"])
        sha256 = Index.load(updates.out).table["sha256"].to_pylist()
        write(photos / "2026" / "deep" / "new.png", "purple", (80, 80))
        wait_for(lambda: Index.load(updates.out).table["sha256"].to_pylist() != sha256)


def test_a_file_that_an_editor_replaces_is_found_and_its_temporary_file_is_not(photos: Path, tmp_path: Path) -> None:
    updates = Updates(tmp_path / "index", [photos / "2024"])
    with watching(updates):
        write(tmp_path / "edited.jpg", "purple", (80, 80))
        temporary = photos / "2024" / ".blue.jpg.part"
        temporary.write_bytes((tmp_path / "edited.jpg").read_bytes()[:100])
        (photos / "2024" / "notes.txt").write_text("text")
        time.sleep(0.5)
        assert updates.n_started == 1
        temporary.write_bytes((tmp_path / "edited.jpg").read_bytes())
        temporary.rename(photos / "2024" / "blue.jpg")
        wait_for(lambda: 80 in Index.load(updates.out).table["width"].to_pylist())
        assert indexed(updates.out) == ["blue.jpg", "green.webp"]


def test_a_file_that_is_written_in_steps_is_indexed_when_it_is_complete(photos: Path, tmp_path: Path) -> None:
    updates = Updates(tmp_path / "index", [photos])
    write(tmp_path / "large.png", "yellow")
    content = (tmp_path / "large.png").read_bytes()
    with watching(updates):
        with (photos / "large.png").open("wb", buffering=0) as file:
            for start in range(0, len(content), 40):
                file.write(content[start : start + 40])
                time.sleep(0.08)
        wait_for(lambda: "large.png" in indexed(updates.out))


def test_a_folder_that_disappears_is_watched_again_when_it_is_back(
    photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "kadr")
    updates = Updates(tmp_path / "index", [photos / "2024", photos / "red.png"])
    with watching(updates):
        (photos / "2024").rename(tmp_path / "unmounted")
        wait_for(lambda: "2024: the file or folder does not exist" in caplog.text)
        write(photos / "red.png", "purple")
        wait_for(lambda: updates.n_started >= 3)
        assert len(indexed(updates.out)) == 3
        write(tmp_path / "unmounted" / "new.png", "yellow")
        (tmp_path / "unmounted").rename(photos / "2024")
        wait_for(lambda: "new.png" in indexed(updates.out))
    assert caplog.text.count("does not exist") == 1
    assert "The index is up to date again" in caplog.text


def test_a_refused_removal_is_reported_once(photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(20):
        write(photos / "many" / f"{number}.png", "red", (40 + number, 40))
    updates = Updates(tmp_path / "index", [photos])
    with watching(updates):
        (photos / "many").rename(tmp_path / "elsewhere")
        wait_for(lambda: "20 of 23 indexed images no longer exist" in caplog.text)
        n_started = updates.n_started
        os.utime(photos / "red.png")
        wait_for(lambda: updates.n_started > n_started)
        time.sleep(0.3)
        assert len(indexed(updates.out)) == 23
        (tmp_path / "elsewhere").rename(photos / "many")
        wait_for(lambda: updates.n_started > n_started + 1)
    assert caplog.text.count("no longer exist") == 1


def test_the_first_error_ends_the_watch(tmp_path: Path) -> None:
    updates = Updates(tmp_path / "index", [tmp_path / "nowhere"])
    with pytest.raises(InputError, match="does not exist"):
        watch_folders(updates.addresses, updates)


def test_an_idle_watch_uses_no_cpu(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    updates = lambda: [str(photos)]  # noqa: E731
    stop = threading.Event()
    threading.Timer(3, stop.set).start()
    start = time.process_time()
    watch_folders([str(photos)], updates, stop=stop)
    assert time.process_time() - start < 0.3


def test_only_one_process_watches_an_index(tmp_path: Path) -> None:
    second = watch_lock(tmp_path / "index")
    with watch_lock(tmp_path / "index"), pytest.raises(SearchError, match="another `kadr index --watch`"), second:
        pass


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/mnt/nas/photos", True),
        ("/mnt/nas", True),
        ("/mnt/nas2", False),
        ("/home/me", False),
        ("/mnt/my disk/a", True),
    ],
)
def test_network_folders_are_recognised(path: str, expected: bool, tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda1 / ext4 rw 0 0\nserver:/photos /mnt/nas nfs4 rw 0 0\nme@host: /mnt/my\\040disk fuse.sshfs rw 0 0\n"
    )
    assert is_network_folder(path, mounts) is expected
