"""The doctor's pure checks: what they say of a sound and of a broken machine and project."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from kadr.embed import EmbeddingCache
from kadr.encoders.base import Identity
from kadr.index.checksums import checksums
from kadr.operations import doctor
from kadr.operations.doctor import Finding
from kadr.params import Params, TimmParams, load_params


@pytest.fixture
def params(project: Path) -> Params:
    return load_params(project / "params.yaml")


def states(found: Iterable[Finding]) -> list[str]:
    return [finding.state for finding in found]


@pytest.mark.parametrize(
    ("lock", "said"),
    [
        ("numpy==0.1\n", "numpy is"),
        ("no-such-package==1\n", "no-such-package is missing"),
        ("numpy = 1\n", "cannot be read"),
        (None, "no such file"),
    ],
)
def test_a_package_that_is_not_as_locked_is_named(lock: str | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "requirements.lock"
    if lock is not None:
        path.write_text(lock)
    (finding,) = doctor.check_packages(path)
    assert finding.state == "wrong"
    assert said in finding.said


def test_packages_as_locked_are_well_and_markers_count(tmp_path: Path) -> None:
    path = tmp_path / "requirements.lock"
    path.write_text(f"numpy=={np.__version__}\nno-such-package==1 ; python_full_version < '3'\n")
    assert states(doctor.check_packages(path)) == ["ok"]


def test_wrong_params_are_told_in_their_own_words(tmp_path: Path, project: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text((project / "params.yaml").read_text().replace("seed: 0 ", "sead: 0 "))
    params, (finding,) = doctor.check_params(path)
    assert params is None
    assert "sead: unknown key" in finding.said


def test_a_missing_source_and_a_missing_corpus(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (finding,) = doctor.check_source(params)
    assert (finding.state, finding.mend) == ("wrong", "make sample")
    Path(params.ingest.source).mkdir(parents=True)
    assert states(doctor.check_source(params)) == ["wrong", "wrong"]


def test_weights_that_are_not_there_are_named(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (finding,) = doctor.check_encoders(params, Path("models/clip"))
    assert "clip.init: local-dir:presets/clip-tiny is not there" in finding.said
    Path(params.clip.init).mkdir(parents=True)
    assert states(doctor.check_encoders(params, Path("models/clip"))) == ["ok"]


@pytest.mark.parametrize("checkpoint", ["no/such.pth", "package:no_such_package/a.pth", "package:kadr/no_such.pth"])
def test_a_checkpoint_that_is_not_there_is_named(params: Params, checkpoint: str) -> None:
    encoder = TimmParams(backend="timm", model="resnet18", checkpoint=checkpoint)
    images = params.embed_images.model_copy(update={"encoders": params.embed_images.encoders | {"resnet": encoder}})
    (finding,) = doctor.check_encoders(params.model_copy(update={"embed_images": images}), Path("models/clip"))
    assert finding.state == "wrong"
    assert f"embed_images.encoders.resnet.checkpoint: {checkpoint} is not there" in finding.said


def test_a_torn_shard_is_found_and_left_where_it_is(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, Identity("fake", "images", "b", "c", "fp32"), 2)
    name = cache.append(["00" * 32], np.array([[1, 0]], np.float32))
    assert states(doctor.check_cache(str(tmp_path))) == ["ok"]
    (shard,) = tmp_path.rglob(name)
    shard.write_bytes(shard.read_bytes()[:-9])
    found = list(doctor.check_cache(str(tmp_path)))
    assert found[0].state == "wrong"
    assert found[0].mend.startswith("kadr cache verify")
    assert shard.exists()


@pytest.mark.parametrize(
    ("described", "state"),
    [
        ({"encoders": {"clip": {"key": "a"}}}, "ok"),
        ({"encoders": {"other": {"key": "a"}}}, "wrong"),
        ({"encoders": {}}, "wrong"),
        ({}, "wrong"),
        (None, "note"),
    ],
)
def test_an_index_of_other_encoders(described: object, state: str, params: Params, tmp_path: Path) -> None:
    if described is not None:
        (tmp_path / "index.json").write_text(json.dumps(described))
    assert states(doctor.check_indexes(params, tmp_path / "images", {tmp_path: "dvc repro index"})) == [state]


def test_a_damaged_file_of_an_index_is_named(params: Params, tmp_path: Path) -> None:
    for name in ("clip.faiss", "vectors.npy"):
        (tmp_path / name).write_text(name)
    described = {"encoders": {"clip": {"key": "a"}}, "sha256": checksums(tmp_path)}
    (tmp_path / "index.json").write_text(json.dumps(described))
    (tmp_path / "vectors.npy").write_text("vectors.npx")
    (finding,) = doctor.check_indexes(params, tmp_path / "images", {tmp_path: "dvc repro index"})
    assert finding.said == f"{tmp_path}/vectors.npy damaged: not as it was written"
    assert finding.mend == f"rm -r {tmp_path}; dvc repro index"


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert states(doctor.check_folders([tmp_path / "not" / "yet"])) == ["ok"]
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    (finding,) = doctor.check_folders([tmp_path / "not" / "yet"])
    assert finding.mend.startswith(f"chmod -R u+w {tmp_path}")


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kadr.operations.doctor.machine.LEAST_FREE", 1e30)
    (finding,) = doctor.check_disks([tmp_path, tmp_path / "not yet"])
    assert finding.state == "wrong"


def test_python_precision_and_cores(params: Params) -> None:
    assert states(doctor.check_python()) == ["ok"]
    (precision,) = doctor.check_precision()
    assert "auto takes" in precision.said
    many = params.model_copy(update={"train": params.train.model_copy(update={"num_threads": 4096})})
    assert states(doctor.check_cores(many)) == ["note"]
