"""Tests of the project checks, with and without problems."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from kadr.embed import EmbeddingCache
from kadr.encoders.base import Identity
from kadr.encoders.timm import TimmParams
from kadr.operations.doctor.finding import Finding
from kadr.operations.doctor.project_checks import (
    check_cache,
    check_encoders,
    check_params,
    check_source,
)
from kadr.params import Params, load_params


@pytest.fixture
def params(project: Path) -> Params:
    return load_params(project / "params.yaml")


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def states(findings: Iterable[Finding]) -> list[str]:
    return [finding.state for finding in findings]


def test_invalid_params_have_the_message_of_the_validation(tmp_path: Path, project: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text((project / "params.yaml").read_text().replace("\nseed: 0", "\nsead: 0"))
    params, (finding,) = check_params(path)
    assert params is None
    assert "sead" in finding.message


def test_a_missing_source_and_a_missing_corpus_are_problems(params: Params) -> None:
    (finding,) = check_source(params.ingest)
    assert (finding.state, finding.fix) == ("problem", "make sample")
    Path(params.ingest.source).mkdir(parents=True)
    assert states(check_source(params.ingest)) == ["problem", "problem"]


def test_missing_weights_of_the_clip_are_named(params: Params) -> None:
    (finding,) = check_encoders(params.embed_images, params.embed_texts, params.clip)
    assert finding.message == f"clip.init: {params.clip.init} does not exist."
    Path(params.clip.init).mkdir(parents=True)
    assert states(check_encoders(params.embed_images, params.embed_texts, params.clip)) == ["ok"]


@pytest.mark.parametrize("checkpoint", ["no/such.pth", "package:no_such_package/a.pth", "package:kadr/no_such.pth"])
def test_a_missing_checkpoint_is_named(params: Params, checkpoint: str) -> None:
    Path(params.clip.init).mkdir(parents=True)
    encoder = TimmParams(backend="timm", model="resnet18", checkpoint=checkpoint)
    images = params.embed_images.model_copy(update={"encoders": params.embed_images.encoders | {"resnet": encoder}})
    (finding,) = check_encoders(images, params.embed_texts, params.clip)
    assert finding.state == "problem"
    assert finding.message == f"embed_images.encoders.resnet.checkpoint: {checkpoint} does not exist."


def test_a_damaged_shard_is_found_and_kept(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, Identity("fake", "images", "b", "c", "fp32"), 2)
    name = cache.append(["00" * 32], np.array([[1, 0]], np.float32))
    assert states(check_cache(str(tmp_path))) == ["ok"]
    (shard,) = tmp_path.rglob(name)
    shard.write_bytes(shard.read_bytes()[:-9])
    findings = list(check_cache(str(tmp_path)))
    assert findings[0].state == "problem"
    assert findings[0].fix.startswith("kadr cache verify")
    assert shard.exists()
