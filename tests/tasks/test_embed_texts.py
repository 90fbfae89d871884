"""Stage embed_texts@<encoder>: queries of all splits and captions, and the encoder kept for later."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kadr.encoders import load_text_encoder
from kadr.errors import InputError, ParamsError
from kadr.io.embeddings import Embeddings
from kadr.io.schemas import CAPTIONS, QUERIES, write_table
from kadr.params import Params, load_params
from kadr.project import PROJECT
from tasks import embed_texts

PHOTO_TEXTS = [("q1", "a dog runs", "train"), ("q2", "a red car", "train"), ("q3", "zebra", "test")]


@pytest.fixture
def params(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    params = load_params(project / "params.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KADR_CACHE", str(tmp_path / "cache"))
    return params


def write(captions: list[tuple[str, str]]) -> None:
    queries = [{"query_id": id_, "text": text, "split": split} for id_, text, split in PHOTO_TEXTS]
    write_table(pa.Table.from_pylist(queries, QUERIES), PROJECT.queries, QUERIES)
    rows = [{"caption_id": id_, "image_id": "x", "text": text} for id_, text in captions]
    write_table(pa.Table.from_pylist(rows, CAPTIONS), PROJECT.captions, CAPTIONS)


def test_the_stage_fits_on_training_texts_and_keeps_the_encoder(params: Params) -> None:
    write([("c1", "a blue boat"), ("q1", "a  dog runs")])
    metrics = embed_texts.stage(params, "tfidf")
    table, folder = PROJECT.text_embeddings / "tfidf.parquet", PROJECT.text_encoders / "tfidf"
    embeddings = Embeddings.read(table)
    assert list(embeddings.ids) == ["c1", "q1", "q2", "q3"]
    assert embeddings.vectors[3, -1] == 1, "the test query's only word must not have been learned"
    encoder = load_text_encoder(params.embed_texts.encoders["tfidf"], "auto", folder)
    assert metrics == {
        "n": 4,
        "dim": encoder.dim,
        "encoder_key": encoder.identity.key,
        "weights_sha256": encoder.identity.weights_sha256,
    }
    np.testing.assert_array_equal(encoder.transform(["a red car"])[0], embeddings.vectors[2])


def test_a_second_run_writes_the_same_bytes_with_and_without_the_cache(params: Params) -> None:
    write([("c1", "a blue boat")])
    outs = [PROJECT.text_embeddings / "tfidf.parquet", PROJECT.text_encoders / "tfidf" / "tfidf.joblib"]
    embed_texts.stage(params, "tfidf")
    first = [path.read_bytes() for path in outs]
    embed_texts.stage(params, "tfidf")
    assert [path.read_bytes() for path in outs] == first
    shutil.rmtree("cache")
    embed_texts.stage(params, "tfidf")
    assert [path.read_bytes() for path in outs] == first


def test_an_id_with_two_texts_is_an_error(params: Params) -> None:
    write([("q1", "a cat sleeps")])
    with pytest.raises(InputError, match="'q1' comes with two contents"):
        embed_texts.stage(params, "tfidf")


def test_an_unknown_encoder_is_named_with_those_that_are_known(params: Params) -> None:
    with pytest.raises(ParamsError, match="no 'nonsense'; it has clip, sbert, tfidf"):
        embed_texts.stage(params, "nonsense")


@pytest.mark.parametrize("arguments", [[], ["clip", "more"]])
def test_the_command_line_wants_one_name(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="usage"):
        embed_texts.main(arguments)
