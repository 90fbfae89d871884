"""Tests for system files: every kind is recognised without regard to case, and images are not."""

import pytest

from kadr.io.system_files import count_by_suffix, system_file_kind, system_path_kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, "thumbnail cache") for name in ("Thumbs.db", "thumbs.db", "ehthumbs.db", "@eaDir", ".@__thumb")),
        *((name, "folder settings") for name in ("desktop.ini", "Desktop.ini", ".DS_Store", ".picasa.ini", "Icon\r")),
        *((name, "resource fork") for name in ("._p00.jpg", "__MACOSX")),
        *((name, "recycle bin") for name in ("$RECYCLE.BIN", "RECYCLER", "#recycle", ".Trash-1000", ".Trashes")),
        *((name, "file system") for name in ("lost+found", "System Volume Information", ".Spotlight-V100")),
        *((name, "hidden") for name in (".env", ".git", ".p00.jpg")),
        *((name, None) for name in ("p00.jpg", "thumbs.jpg", "desktop", "recycled cans.jpg", "lost and found.jpg")),
    ],
)
def test_the_kind_of_a_name(name: str, kind: str | None) -> None:
    assert system_file_kind(name) == kind


def test_the_kind_of_a_path_is_the_kind_of_its_first_system_part() -> None:
    assert system_path_kind("a/$Recycle.Bin/._b.jpg") == "recycle bin"
    assert system_path_kind("a/b.jpg") is None


def test_suffixes_are_counted_without_regard_to_case() -> None:
    assert count_by_suffix(["a/x.MOV", "b.mov", "c"]) == {"": 1, ".mov": 2}
