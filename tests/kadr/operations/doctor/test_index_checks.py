"""Tests of the index checks: damaged files, and indexes that do not fit the current text encoder."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kadr.encoders import fit_text_encoder
from kadr.encoders.tfidf import TfidfParams
from kadr.index import build_index
from kadr.io.embeddings import Embeddings
from kadr.io.schemas import IMAGES
from kadr.operations.doctor.finding import Finding
from kadr.operations.doctor.index_checks import check_indexes
from kadr.params import Params, load_params
from kadr.project import PROJECT

TEXTS = ["a red ball", "a boat at sea", "a dog in the snow"]


@pytest.fixture
def params(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Settings without a relevance model, in a project folder without models."""
    shutil.copy(project / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    params = load_params(project / "params.yaml")
    return params.model_copy(update={"index": params.index.model_copy(update={"rerank": 0})})


def fit(params: Params, texts: list[str]) -> Embeddings:
    """Fit the text encoder `tfidf` of the project, and return its vectors of TEXTS."""
    settings = params.embed_texts.encoders["tfidf"]
    assert isinstance(settings, TfidfParams)
    encoder = fit_text_encoder(settings, "fp32", texts, 0)
    encoder.save(PROJECT.text_encoders / "tfidf")
    return Embeddings(TEXTS, encoder.transform(TEXTS), encoder.identity.metadata)


def write_index(folder: Path, vectors: Embeddings | None = None, encoder: str = "tfidf") -> None:
    folder.mkdir(parents=True)
    rows = [{"image_id": text, "path": text, "split": "test", "status": "ok"} for text in TEXTS]
    vectors = vectors or Embeddings(TEXTS, np.eye(3, dtype=np.float32), {})
    index = build_index(
        pa.Table.from_pylist(rows, IMAGES), {encoder: vectors}, encoder, 10, details={"addresses": ["my photos", "b"]}
    )
    index.write(folder)


def check(params: Params, folder: Path = PROJECT.photo_index) -> Finding:
    (finding,) = check_indexes(params, {folder: "kadr index"})
    return finding


def test_an_index_of_the_current_encoder_fits(params: Params) -> None:
    write_index(PROJECT.photo_index, fit(params, TEXTS))
    finding = check(params)
    assert (finding.state, finding.fix) == ("ok", "")
    assert "fits the current text encoder tfidf (3 images)" in finding.message


def test_each_index_is_compared_with_the_encoder_of_queries(params: Params) -> None:
    write_index(PROJECT.index, fit(params, TEXTS))
    write_index(PROJECT.photo_index, fit(params, ["another text", "and one more"]))
    (pipeline, photos) = check_indexes(params)
    assert (pipeline.state, pipeline.fix) == ("problem", "dvc repro index")
    assert "The vectors are not comparable" in pipeline.message
    assert photos.state == "ok"


def test_an_index_of_an_unknown_encoder_cannot_be_searched(params: Params) -> None:
    write_index(PROJECT.photo_index, encoder="other")
    finding = check(params)
    assert (finding.state, finding.fix) == ("problem", "kadr index")
    assert "the encoder other, which is not in embed_texts.encoders" in finding.message


def test_missing_text_encoders_are_not_the_fault_of_the_index(params: Params) -> None:
    write_index(PROJECT.photo_index)
    finding = check(params)
    assert finding.state == "problem"
    assert finding.fix.startswith("dvc repro embed_texts")


def test_vectors_for_the_relevance_model_are_missing(params: Params) -> None:
    write_index(PROJECT.photo_index, fit(params, TEXTS))
    reranking = params.model_copy(update={"index": params.index.model_copy(update={"rerank": 10})})
    finding = check(reranking)
    assert (finding.state, finding.fix) == ("problem", "kadr index")
    assert "has only the vectors of tfidf" in finding.message


def test_a_damaged_file_is_named_with_a_command_that_works(params: Params) -> None:
    write_index(PROJECT.photo_index)
    (PROJECT.photo_index / "vectors/tfidf.npy").write_bytes(b"x")
    finding = check(params)
    assert finding.message.startswith("models/photos/vectors/tfidf.npy is damaged")
    assert finding.fix == "rm -r models/photos; kadr index 'my photos' b"


@pytest.mark.parametrize(("description", "state"), [(None, "note"), ({}, "problem"), ([], "problem")])
def test_a_folder_without_a_readable_description(params: Params, description: object, state: str) -> None:
    PROJECT.photo_index.mkdir(parents=True)
    if description is not None:
        (PROJECT.photo_index / "index.json").write_text(json.dumps(description))
    assert check(params).state == state


def test_folders_that_do_not_exist_are_skipped(params: Params) -> None:
    assert list(check_indexes(params)) == []
