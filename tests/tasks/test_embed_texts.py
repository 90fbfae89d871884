"""Stage embed_texts@<encoder>: embed queries and captions, and save the encoder."""

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

QUERY_ROWS = [("q1", "a dog runs", "train"), ("q2", "a red car", "train"), ("q3", "zebra", "test")]


@pytest.fixture
def params(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    params = load_params(project / "params.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KADR_CACHE", str(tmp_path / "cache"))
    return params


def write_tables(captions: list[tuple[str, str]]) -> None:
    queries = [{"query_id": id_, "text": text, "split": split} for id_, text, split in QUERY_ROWS]
    write_table(pa.Table.from_pylist(queries, QUERIES), PROJECT.queries, QUERIES)
    rows = [{"caption_id": id_, "image_id": "x", "text": text} for id_, text in captions]
    write_table(pa.Table.from_pylist(rows, CAPTIONS), PROJECT.captions, CAPTIONS)


def test_the_stage_fits_on_the_train_split_and_saves_the_encoder(params: Params) -> None:
    write_tables([("c1", "a blue boat"), ("q1", "a  dog runs")])
    metrics = embed_texts.stage(params, "tfidf")
    table, folder = PROJECT.text_embeddings / "tfidf.parquet", PROJECT.text_encoders / "tfidf"
    embeddings = Embeddings.read(table)
    assert list(embeddings.ids) == ["c1", "q1", "q2", "q3"]
    assert embeddings.vectors[3, -1] == 1, "the words of a test query must be unknown"
    encoder = load_text_encoder(params.embed_texts.encoders["tfidf"], "auto", folder)
    assert metrics == {
        "n": 4,
        "dim": encoder.dim,
        "encoder_key": encoder.identity.key,
        "weights_sha256": encoder.identity.weights_sha256,
    }
    np.testing.assert_array_equal(encoder.transform(["a red car"])[0], embeddings.vectors[2])


def test_a_second_run_writes_identical_files_with_and_without_the_cache(params: Params) -> None:
    write_tables([("c1", "a blue boat")])
    outputs = [PROJECT.text_embeddings / "tfidf.parquet", PROJECT.text_encoders / "tfidf" / "tfidf.joblib"]
    embed_texts.stage(params, "tfidf")
    contents = [path.read_bytes() for path in outputs]
    embed_texts.stage(params, "tfidf")
    assert [path.read_bytes() for path in outputs] == contents
    shutil.rmtree("cache")
    embed_texts.stage(params, "tfidf")
    assert [path.read_bytes() for path in outputs] == contents


def test_an_id_with_two_texts_is_an_error(params: Params) -> None:
    write_tables([("q1", "a cat sleeps")])
    with pytest.raises(InputError, match="Two different images or texts have the ID 'q1'"):
        embed_texts.stage(params, "tfidf")


def test_an_unknown_encoder_is_an_error_that_lists_the_encoders(params: Params) -> None:
    with pytest.raises(ParamsError, match=r"no encoder 'nonsense'\. Use one of these encoders: clip, sbert, tfidf"):
        embed_texts.stage(params, "nonsense")


@pytest.mark.parametrize("arguments", [[], ["clip", "more"]])
def test_the_command_needs_one_encoder(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="usage"):
        embed_texts.main(arguments)
