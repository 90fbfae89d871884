"""Tests of the user's own index, outside of a project. The CLIP models are small and have random weights."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from kadr.cli import main as cli
from kadr.clip.checkpoint import save_checkpoint
from kadr.embed import cache_root
from kadr.encoders.open_clip_models import load_clip, read_config
from kadr.errors import KadrError
from kadr.project import PROJECT

COLOURS = ("red", "green", "blue")


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of photos of a user without a project."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, colour in enumerate(COLOURS):
        Image.new("RGB", (60 + number, 40), colour).save(folder / f"{colour}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KADR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KADR_CACHE")
    return folder


@pytest.fixture(scope="module")
def models(project: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the folders of two CLIP models of the same architecture with different weights."""
    tiny = project / "presets" / "clip-tiny"
    folders = [tmp_path_factory.mktemp("models") / f"clip {seed}" for seed in range(2)]
    for seed, folder in enumerate(folders):
        torch.manual_seed(seed)
        save_checkpoint(
            load_clip(f"local-dir:{tiny}", None, weights=False), read_config(tiny)["model_cfg"], None, folder
        )
    return folders


def run(*arguments: str) -> str:
    """Run a command and return its output. The test fails if the command fails."""
    result = CliRunner().invoke(cli.app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def index_description() -> dict[str, object]:
    description: dict[str, object] = json.loads((PROJECT.photo_index / "index.json").read_text(encoding="utf-8"))
    return description


def test_the_index_records_its_model(photos: Path, models: list[Path]) -> None:
    output = run("index", str(photos), "--model", str(models[0]))
    assert 'Search the photos: kadr search "a dog in the snow"\n' in output  # without --index
    assert len(run("search", "a red wall", "-k", "2", "--paths").splitlines()) == 2
    assert len(run("similar", str(photos / "red.png"), "--paths").splitlines()) == 2  # all other photos
    Image.new("RGB", (50, 50), "white").save(photos / "white.png")
    assert "4 photos (3 unchanged, 1 new" in run("index")  # same folders and model
    first = index_description()
    run("index", "--model", f"local-dir:{models[1]}")
    second = index_description()
    assert first["encoders"] != second["encoders"]
    assert len(run("search", "a red wall", "--paths").splitlines()) == 4


def test_the_vectors_of_each_model_stay_in_the_cache(photos: Path, models: list[Path]) -> None:
    def shards() -> dict[str, int]:
        """Return the shards of all encoders, and the times when they were written."""
        return {str(path): path.stat().st_mtime_ns for path in Path(cache_root()).glob("vectors/*/*.parquet")}

    for model in models:
        run("index", str(photos), "--model", str(model))
    written = shards()
    assert len({Path(path).parent for path in written}) == len(models)
    run("index", "--model", str(models[0]))
    assert shards() == written


def test_another_index_is_searched_by_its_path(photos: Path, models: list[Path]) -> None:
    output = run("index", str(photos), "--model", str(models[0]), "--out", "other")
    assert 'kadr search "a dog in the snow" --index other' in output
    assert not PROJECT.photo_index.exists()
    assert len(run("search", "a red wall", "--index", "other", "--paths").splitlines()) == 3


def test_a_model_that_has_moved_is_an_error(photos: Path, models: list[Path], tmp_path: Path) -> None:
    shutil.copytree(models[0], tmp_path / "clip")
    run("index", str(photos), "--model", "clip")
    (tmp_path / "clip").rename(tmp_path / "moved")
    result = CliRunner().invoke(cli.app, ["search", "a red wall"])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit | KadrError)
    assert f"the folder {tmp_path / 'clip'} does not exist" in result.output
    run("index", "--model", "moved")
    run("search", "a red wall")


def test_a_settings_file_applies_to_a_new_index(photos: Path, models: list[Path], tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    settings = f"model: {models[1]}\nembed: {{vectors: float16}}\n"
    (tmp_path / "home" / "config.yaml").write_text(settings, encoding="utf-8")
    run("index", str(photos))
    assert json.loads(run("where", "--json"))["model"] == f"local-dir:{models[1]}"
