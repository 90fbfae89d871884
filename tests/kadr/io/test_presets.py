"""Presets: what they change in params.yaml, what they leave, and what they refuse."""

import shutil
from pathlib import Path

import pytest

from kadr.errors import ParamsError
from kadr.io.presets import Change, preset_names, set_value, use_preset
from kadr.params import load_params


@pytest.fixture
def params_path(tmp_path: Path, project: Path) -> Path:
    return Path(shutil.copy(project / "params.yaml", tmp_path / "params.yaml"))


@pytest.fixture
def presets(project: Path) -> Path:
    return project / "presets"


def test_the_presets_of_the_project(presets: Path) -> None:
    assert preset_names(presets) == ["captions", "flickr8k", "practicum", "sample"]


def test_a_preset_changes_its_values_and_nothing_else(params_path: Path, presets: Path) -> None:
    use_preset("sample", [], params_path, presets)
    before = params_path.read_text()
    changes = use_preset("flickr8k", [], params_path, presets)
    assert Change("ingest.source", "data/raw/sample", "../shared/flickr8k") in changes
    assert load_params(params_path).ingest.form == "flickr8k"
    assert "efficientnet_lite2" in load_params(params_path).embed_images.encoders
    changed = set(params_path.read_text().splitlines()) - set(before.splitlines())
    keys = {line.split(":")[0].strip() for line in changed}
    assert keys <= {change.key.split(".")[-1] for change in changes} | {"efficientnet_lite1", "efficientnet_lite2"}


def test_there_and_back_is_the_same_file(params_path: Path, presets: Path) -> None:
    use_preset("sample", [], params_path, presets)
    sample = params_path.read_text()
    use_preset("flickr8k", [], params_path, presets)
    assert params_path.read_text() != sample
    use_preset("sample", [], params_path, presets)
    assert params_path.read_text() == sample
    assert use_preset("sample", [], params_path, presets) == []


def test_a_mapping_becomes_null_and_comes_back(params_path: Path, presets: Path) -> None:
    use_preset("practicum", [], params_path, presets)
    assert load_params(params_path).ingest.corpus is None
    assert "corpus: null" in params_path.read_text()
    use_preset("sample", [], params_path, presets)
    corpus = load_params(params_path).ingest.corpus
    assert corpus is not None
    assert corpus.images == "corpus_images"
    assert list(load_params(params_path).embed_images.encoders) == ["clip", "efficientnet_lite2"]


def test_overrides_come_last(params_path: Path, presets: Path) -> None:
    encoder = "embed_images.encoders.resnet={backend: timm, model: resnet50}"
    changes = use_preset("sample", ["train.num_leaves=99", "train.experiment=mine", encoder], params_path, presets)
    params = load_params(params_path)
    assert params.train.num_leaves == 99
    assert params.train.experiment == "mine"
    assert params.embed_images.encoders["resnet"].model == "resnet50"
    assert Change("embed_images.encoders.resnet.model", None, "resnet50") in changes


@pytest.mark.parametrize(
    ("preset", "override", "said"),
    [
        ("nothing", "seed=1", "no preset 'nothing' in .*; there are: captions, flickr8k, practicum, sample"),
        ("sample", "seed", "wanted key=value"),
        ("sample", "train.nothing=1", r"train\.nothing: unknown key"),
        ("sample", "train.num_leaves=many", r"train\.num_leaves: .*got 'many'"),
        ("sample", "nothing.at.all=1", "no section 'nothing'"),
        ("sample", "seed={", "not valid YAML"),
        ("flickr8k", "clip.ratings=0.5", r"clip\.ratings wants clip\.source: train, got local"),
        ("sample", "clip.ratings=1", r"clip\.ratings: .*less than 1"),
    ],
)
def test_what_is_not_valid_is_not_written(
    params_path: Path, presets: Path, preset: str, override: str, said: str
) -> None:
    before = params_path.read_bytes()
    with pytest.raises(ParamsError, match=said):
        use_preset(preset, [override], params_path, presets)
    assert params_path.read_bytes() == before


def test_no_params_file(tmp_path: Path, presets: Path) -> None:
    with pytest.raises(ParamsError, match="no such file"):
        use_preset("sample", [], tmp_path / "params.yaml", presets)


def test_one_value_is_set_and_a_wrong_one_is_not(params_path: Path) -> None:
    before = params_path.read_text()
    set_value("ingest.source", "data/raw/new", params_path)
    assert params_path.read_text() == before.replace("source: data/raw/sample ", "source: data/raw/new ").replace(
        "data/raw/new            # folder", "data/raw/new               # folder"
    )
    changed = params_path.read_text()
    with pytest.raises(ParamsError, match="max_pixels"):
        set_value("ingest.max_pixels", "0", params_path)
    assert params_path.read_text() == changed
