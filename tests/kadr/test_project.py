"""Which files belong together: the project's, or one version of the champion's."""

from pathlib import Path

import pytest

from kadr.project import PROJECT, Artifacts, version_artifacts


def version(folder: Path) -> Path:
    """A champion's version with what tells it from an index."""
    (folder / "relevance").mkdir(parents=True)
    (folder / "params.yaml").touch()
    return folder


def test_an_index_alone_is_searched_with_the_projects_models(tmp_path: Path) -> None:
    ours = PROJECT.artifacts()
    (tmp_path / "photos").mkdir()
    assert PROJECT.artifacts_of(ours.index) == ours
    assert PROJECT.artifacts_of(tmp_path / "photos") == Artifacts(
        tmp_path / "photos", ours.text_encoders, ours.relevance, ours.clip, ours.params
    )
    assert version_artifacts(tmp_path / "photos") is None
    assert version_artifacts(tmp_path / "nothing") is None


def test_a_champion_brings_all_its_own_and_stays_one_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    old, new = version(tmp_path / ".champion" / "v1"), version(tmp_path / ".champion" / "v2")
    link = Path("champion")
    link.symlink_to(".champion/v1")
    found = PROJECT.artifacts_of(link)
    link.unlink()
    link.symlink_to(".champion/v2")
    assert found == Artifacts(
        old / "index", old / "text_encoders", old / "relevance", old / "clip", old / "params.yaml"
    )
    later = version_artifacts(link)
    assert later is not None
    assert later.index == new / "index"
