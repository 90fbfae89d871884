"""Tests of writing presets and single settings into params.yaml."""

import shutil
from pathlib import Path

import pytest

from kadr.errors import ParamsError
from kadr.io.presets import ParamChange, apply_preset, preset_names, set_value
from kadr.params import load_params


@pytest.fixture
def params_path(tmp_path: Path, project: Path) -> Path:
    return Path(shutil.copy(project / "params.yaml", tmp_path / "params.yaml"))


@pytest.fixture
def presets(project: Path) -> Path:
    return project / "presets"


def test_presets_are_listed_by_name(presets: Path, tmp_path: Path) -> None:
    assert preset_names(presets) == ["captions", "flickr8k", "multilingual", "practicum", "sample"]
    assert preset_names(tmp_path / "missing") == []


def test_a_preset_changes_only_its_own_settings(params_path: Path, presets: Path) -> None:
    apply_preset("sample", [], params_path, presets)
    old = params_path.read_text()
    changes = apply_preset("flickr8k", [], params_path, presets)
    assert ParamChange("ingest.source", "data/raw/sample", "../shared/flickr8k") in changes
    assert load_params(params_path).ingest.format == "flickr8k"
    assert "efficientnet_lite2" in load_params(params_path).embed_images.encoders
    changed = set(params_path.read_text().splitlines()) - set(old.splitlines())
    keys = {line.split(":")[0].strip() for line in changed}
    assert keys <= {change.key.split(".")[-1] for change in changes} | {"efficientnet_lite1", "efficientnet_lite2"}


def test_two_presets_in_turn_restore_the_same_file(params_path: Path, presets: Path) -> None:
    apply_preset("sample", [], params_path, presets)
    sample = params_path.read_text()
    apply_preset("flickr8k", [], params_path, presets)
    assert params_path.read_text() != sample
    apply_preset("sample", [], params_path, presets)
    assert params_path.read_text() == sample
    assert apply_preset("sample", [], params_path, presets) == []


def test_a_mapping_can_be_replaced_by_null_and_restored(params_path: Path, presets: Path) -> None:
    apply_preset("practicum", [], params_path, presets)
    assert load_params(params_path).ingest.corpus is None
    assert "corpus: null" in params_path.read_text()
    apply_preset("sample", [], params_path, presets)
    corpus = load_params(params_path).ingest.corpus
    assert corpus is not None
    assert corpus.images == "corpus_images"
    assert list(load_params(params_path).embed_images.encoders) == ["clip", "efficientnet_lite2"]


def test_overrides_are_applied_after_the_preset(params_path: Path, presets: Path) -> None:
    encoder = "embed_images.encoders.resnet={backend: timm, model: resnet50}"
    changes = apply_preset("sample", ["train.num_leaves=99", "train.experiment=mine", encoder], params_path, presets)
    params = load_params(params_path)
    assert params.train.num_leaves == 99
    assert params.train.experiment == "mine"
    assert params.embed_images.encoders["resnet"].model == "resnet50"
    assert ParamChange("embed_images.encoders.resnet.model", None, "resnet50") in changes


@pytest.mark.parametrize(
    ("preset", "override", "message"),
    [
        (
            "nothing",
            "seed=1",
            "has no preset 'nothing'. Its presets are: captions, flickr8k, multilingual, practicum, sample",
        ),
        ("sample", "seed", "the value is missing. Write key=value"),
        ("sample", "train.nothing=1", r"train\.nothing: unknown key"),
        ("sample", "train.num_leaves=many", r"train\.num_leaves: .*got 'many'"),
        ("sample", "nothing.key=1", "no section 'nothing'"),
        ("sample", "seed={", "not valid YAML"),
        (
            "flickr8k",
            "clip.ratings=0.5",
            r"clip\.ratings is 0\.5, which requires clip\.source: train, but clip\.source is local",
        ),
        ("sample", "clip.ratings=1", r"clip\.ratings: .*less than 1"),
    ],
)
def test_an_invalid_setting_is_an_error_and_changes_nothing(
    params_path: Path, presets: Path, preset: str, override: str, message: str
) -> None:
    content = params_path.read_bytes()
    with pytest.raises(ParamsError, match=message):
        apply_preset(preset, [override], params_path, presets)
    assert params_path.read_bytes() == content


def test_a_missing_params_file_is_an_error(tmp_path: Path, presets: Path) -> None:
    with pytest.raises(ParamsError, match=r"params\.yaml: the file does not exist"):
        apply_preset("sample", [], tmp_path / "params.yaml", presets)


def test_set_value_changes_one_line(params_path: Path) -> None:
    old = params_path.read_text().splitlines()
    set_value("ingest.source", "data/raw/new", params_path)
    new = params_path.read_text().splitlines()
    changed = [(before, after) for before, after in zip(old, new, strict=True) if before != after]
    assert [after.split("#")[0].strip() for _, after in changed] == ["source: data/raw/new"]
    assert [before.index("#") for before, _ in changed] == [after.index("#") for _, after in changed]
    with pytest.raises(ParamsError, match="max_pixels"):
        set_value("decoding.max_pixels", "0", params_path)
    assert params_path.read_text().splitlines() == new
