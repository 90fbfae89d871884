"""Tests of the artifact paths of a project and of a champion version."""

from pathlib import Path

import pytest

from kadr.project import PROJECT, Artifacts, version_artifacts


def make_version(folder: Path) -> Path:
    (folder / "relevance").mkdir(parents=True)
    (folder / "params.yaml").touch()
    return folder


def test_an_index_uses_the_models_of_the_project(tmp_path: Path) -> None:
    current = PROJECT.artifacts()
    (tmp_path / "photos").mkdir()
    assert PROJECT.index_artifacts(current.index) == current
    assert PROJECT.index_artifacts(tmp_path / "photos") == Artifacts(
        tmp_path / "photos", current.text_encoders, current.relevance, current.clip, current.params
    )
    assert version_artifacts(tmp_path / "photos") is None
    assert version_artifacts(tmp_path / "missing") is None


def test_a_champion_uses_the_models_of_one_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = make_version(tmp_path / ".champion" / "v1"), make_version(tmp_path / ".champion" / "v2")
    link = Path("champion")
    link.symlink_to(".champion/v1")
    artifacts = PROJECT.index_artifacts(link)
    link.unlink()
    link.symlink_to(".champion/v2")
    assert artifacts == Artifacts(
        first / "index", first / "text_encoders", first / "relevance", first / "clip", first / "params.yaml"
    )
    later = version_artifacts(link)
    assert later is not None
    assert later.index == second / "index"
