"""Which files belong together: the project's, or one version of the champion's."""

from pathlib import Path

import pytest

from kadr.artifacts import Artifacts


def version(folder: Path) -> Path:
    """A champion's version with what tells it from an index."""
    (folder / "relevance").mkdir(parents=True)
    (folder / "params.yaml").touch()
    return folder


def test_an_index_alone_is_searched_with_the_projects_models(tmp_path: Path) -> None:
    ours = Artifacts.of_project()
    (tmp_path / "photos").mkdir()
    assert Artifacts.of_index(ours.index) == ours
    assert Artifacts.of_index(tmp_path / "photos") == Artifacts(
        tmp_path / "photos", ours.text_encoders, ours.relevance, ours.clip, ours.params
    )
    assert Artifacts.of_champion(tmp_path / "photos") is None
    assert Artifacts.of_champion(tmp_path / "nothing") is None


def test_a_champion_brings_all_its_own_and_stays_one_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    old, new = version(tmp_path / ".champion" / "v1"), version(tmp_path / ".champion" / "v2")
    link = Path("champion")
    link.symlink_to(".champion/v1")
    found = Artifacts.of_index(link)
    link.unlink()
    link.symlink_to(".champion/v2")
    assert found == Artifacts(
        old / "index", old / "text_encoders", old / "relevance", old / "clip", old / "params.yaml"
    )
    later = Artifacts.of_champion(link)
    assert later is not None
    assert later.index == new / "index"
