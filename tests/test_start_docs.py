"""Run the commands of docs/start.md with photos from Flickr8k. A small local CLIP model replaces the downloads."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import kadr.serve
from kadr.cli import main as cli
from kadr.encoders.hub_models import HubModel, find_hub_model
from kadr.errors import EncoderError
from kadr.params import clip_models
from kadr.params.clip_models import NAMED_MODELS, NamedModel, encoder_settings
from kadr.params.user_params import load_user_params
from kadr.user_folders import user_folders
from tests.test_docs import read_blocks, read_commands

N_PHOTOS = 8
PAGE = Path(__file__).parents[1] / "docs/start.md"
OTHER_PROGRAMS = ("pip", "hf")


@pytest.fixture
def home(tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the home folder of a new user who has photos and a folder with a CLIP model."""
    pictures, clip = tmp_path / "Pictures", shared.resolve() / "encoders" / "clip-mobilenetv2-flickr8k"
    pictures.mkdir()
    for path in sorted((shared / "flickr8k" / "test_images").iterdir())[:N_PHOTOS]:
        shutil.copy(path, pictures)
    shutil.copy(next(pictures.iterdir()), pictures / "beach.jpg")
    for folder in (tmp_path / "my-clip", tmp_path / "models" / "my-clip"):
        shutil.copytree(clip, folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KADR_HOME")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(kadr.serve, "run_server", lambda *_: None)
    monkeypatch.setattr(
        clip_models,
        "NAMED_MODELS",
        {name: NamedModel(f"local-dir:{clip}", model.purpose, 0) for name, model in NAMED_MODELS.items()},
    )
    return tmp_path


def test_a_new_user_runs_the_commands_of_the_page(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(model: HubModel) -> int:
        raise EncoderError(f"{model.repository} is not on this machine")

    monkeypatch.setattr(HubModel, "size", refuse)
    monkeypatch.setattr(HubModel, "is_downloaded", lambda _: False)
    outputs = {}
    for command in read_commands(PAGE):
        program, *arguments = (re.sub("^~", str(home), word) for word in shlex.split(command))
        if program in OTHER_PROGRAMS:
            continue
        assert program == "kadr"
        result = CliRunner().invoke(cli.app, arguments)
        outputs[command] = result.output
        expected = 1 if "datacomp" in command else 0  # this model would be downloaded
        assert result.exit_code == expected, f"{command}\n{result.output}"
    assert f"{N_PHOTOS + 1} photos ({N_PHOTOS + 1} new)" in outputs["kadr index ~/Pictures"]
    assert f"{N_PHOTOS + 1} photos" in outputs["kadr serve"]
    assert "is not on this machine" in outputs["kadr index --model ViT-B-16/datacomp_xl_s13b_b90k"]
    assert "beach.jpg" in outputs["kadr similar ~/Pictures/beach.jpg"]
    assert len(outputs['kadr search "a dog" --paths'].splitlines()) == 5
    assert str(home / ".local/share/kadr/index") in outputs["kadr where"]


def test_the_readme_begins_with_commands_of_the_page() -> None:
    commands = read_commands(PAGE.parents[1] / "README.md")[:4]
    assert commands == read_commands(PAGE)[:4]


def test_the_paths_of_the_page_are_the_folders_of_the_user(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KADR_CACHE", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    folders, page = user_folders(), PAGE.read_text(encoding="utf-8")
    for path in (folders.data, folders.cache, folders.settings):
        assert f"`~/{path.relative_to(home)}`" in page


def test_the_settings_file_of_the_page_is_valid(tmp_path: Path) -> None:
    (example,) = read_blocks(PAGE, "yaml config.yaml")
    (tmp_path / "config.yaml").write_text(example, encoding="utf-8")
    params = load_user_params(tmp_path / "config.yaml")
    values = yaml.safe_load(example)
    assert params.embed_images.encoders["clip"].vector_space == NAMED_MODELS[values["model"]].name
    assert params.embed_images.batch_size == values["embed_images"]["batch_size"]
    assert params.decoding.max_megabytes == values["decoding"]["max_megabytes"]


@pytest.mark.parametrize("name", NAMED_MODELS)
def test_the_page_names_the_models_and_their_sizes(name: str) -> None:
    model = NAMED_MODELS[name]
    (row,) = re.findall(rf"(?m)^\| `{name}`[^|]* \| ([^|]+) \| ([\d,]+) MB \|$", PAGE.read_text(encoding="utf-8"))
    assert row == (model.purpose, f"{model.megabytes:,}")


def test_the_page_downloads_the_default_model() -> None:
    (command,) = (command for command in read_commands(PAGE) if command.startswith("hf download"))
    settings = encoder_settings(NAMED_MODELS["small"].name)
    hub_model = find_hub_model(str(settings["model"]), settings["pretrained"])
    assert hub_model is not None
    assert hub_model.repository == shlex.split(command)[2]
