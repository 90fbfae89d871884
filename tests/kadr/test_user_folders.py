"""Tests of the folders of the user."""

from pathlib import Path

import pytest

from kadr.project import PROJECT
from kadr.user_folders import user_folders


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KADR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KADR_CACHE")
    return tmp_path


def test_one_variable_moves_all_folders(empty_folder: Path) -> None:
    folders = user_folders()
    home = empty_folder / "home"
    assert {folders.settings, folders.index, folders.cache, folders.models} == {
        home / "config.yaml",
        home / "data" / "index",
        home / "cache",
        home / "cache" / "models",
    }
    assert folders.embeddings == str(home / "cache")


def test_the_folders_follow_the_operating_system(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KADR_HOME")
    for kind in ("DATA", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(empty_folder / kind))
    folders = user_folders()
    if (empty_folder / "DATA") in folders.data.parents:  # Linux
        assert folders.settings == empty_folder / "CONFIG" / "kadr" / "config.yaml"
        assert folders.cache == empty_folder / "CACHE" / "kadr"
    assert folders.models is None  # the cache of the Hugging Face hub


def test_a_project_has_its_own_index(empty_folder: Path) -> None:
    assert not PROJECT.exists
    assert PROJECT.search_index == PROJECT.photo_index == user_folders().index
    assert PROJECT.ratings_folder("data/raw/mine") == user_folders().data
    (empty_folder / "params.yaml").touch()
    assert PROJECT.exists
    assert (PROJECT.search_index, PROJECT.photo_index) == (Path("models/index"), Path("models/photos"))
    assert PROJECT.ratings_folder("data/raw/mine") == Path("data/raw/mine")
