"""Indexes of images that exist only as vectors."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from kadr.cli.main import app
from kadr.collection import update_index
from kadr.collection.set_aside import SET_ASIDE
from kadr.collection.vector_collection import index_vectors
from kadr.encoders.precomputed import PrecomputedImageEncoder, PrecomputedParams
from kadr.errors import SearchError
from kadr.io.schemas import QUARANTINE, read_table
from kadr.params import load_params
from kadr.project import PROJECT
from kadr.search import Searcher, load_searcher, parse_query

EYE = np.eye(4, dtype=np.float32)


def write(path: Path, vectors: object, **columns: list[str]) -> PrecomputedImageEncoder:
    table = pa.table({**columns, "vector": pa.array(np.asarray(vectors).tolist(), pa.list_(pa.float32()))})
    pq.write_table(table, path)
    return PrecomputedImageEncoder(PrecomputedParams(backend="precomputed", path=str(path), model="m", dim=4))


def test_images_are_indexed_without_files_and_found_by_their_vectors(tmp_path: Path) -> None:
    vectors = [EYE[0], EYE[1], EYE[1] * 0, EYE[2]]
    names = ["https://example.org/p/1.jpg", "https://example.org/p/2.jpg", "https://example.org/p/3.jpg", ""]
    encoder = write(tmp_path / "v.parquet", vectors, url=names)
    for published in (True, False):
        update = index_vectors(tmp_path / "index", {"clip": encoder}, exact_max=10)
        assert (update.published, update.left_out) == (published, {"invalid_vector": 1})
        set_aside = read_table(tmp_path / "index" / SET_ASIDE, QUARANTINE).select(["file", "rule"]).to_pylist()
        assert set_aside == [{"file": names[2], "rule": "invalid_vector"}]
    rows = update.index.table.select(["image_id", "path", "sha256", "split"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("1.jpg", names[0], None, None),
        ("2.jpg", names[1], None, None),
    ]
    searcher = Searcher(update.index, {}, None, 0)
    assert [match.path for match in searcher.similar("1.jpg", 2)] == [names[1]]

    encoder = write(tmp_path / "v.parquet", [EYE[3], EYE[1]], url=names[:2])
    update = index_vectors(tmp_path / "index", {"clip": encoder}, exact_max=10)
    assert update.published
    assert update.index.vectors["clip"].values[0].tolist() == EYE[3].tolist()


def test_images_need_a_vector_of_each_encoder(tmp_path: Path) -> None:
    encoders = {
        "clip": write(tmp_path / "a.parquet", EYE[:3], image_id=["a", "b", "c"]),
        "resnet": write(tmp_path / "b.parquet", EYE[:2], image_id=["c", "b"]),
    }
    update = index_vectors(tmp_path / "index", encoders, exact_max=10)
    assert update.left_out == {"no_vector": 1}
    assert update.index.table["image_id"].to_pylist() == ["b", "c"]
    assert update.index.vectors["resnet"].values.tolist() == EYE[[1, 0]].tolist()


def test_an_index_without_any_valid_vector_is_an_error(tmp_path: Path) -> None:
    encoder = write(tmp_path / "v.parquet", [EYE[0] * np.nan], image_id=["a"])
    with pytest.raises(SearchError, match="None of 1 images can be indexed"):
        index_vectors(tmp_path / "index", {"clip": encoder}, exact_max=10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["photos", "--vectors", "v.parquet"], "cannot be combined with PHOTOS"),
        (["--vectors", "v.parquet", "--exclude", "*.gif"], "--exclude applies to photos in folders"),
        (["--vectors", "v.parquet", "--rescan"], "--rescan applies to photos in folders"),
        (["--model", "ViT-B-32/openai"], "in a project, params.yaml sets the model"),
        (["--vectors", "none.parquet"], "none.parquet does not exist"),
        (["--vectors", "none.parquet", "--model", "ViT-L"], "Set this text encoder to the model of the vectors"),
    ],
)
def test_arguments_that_do_not_fit_are_errors(
    arguments: list[str], message: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    result = CliRunner().invoke(app, ["index", *arguments, "--out", "none"])
    assert result.exit_code == 1
    assert message in result.stderr


def test_files_are_indexed_with_vectors_that_exist_already(tmp_path: Path, project: Path) -> None:
    for name, colour in {"a.png": "red", "sub/a.png": "blue", "sub/c.png": "green"}.items():
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (60, 40), colour).save(tmp_path / "photos" / name)
    encoder = write(tmp_path / "v.parquet", EYE[:2], image_path=["sub/a.png", "a.png"])
    params = load_params(project / "params.yaml")
    settings = PrecomputedParams(backend="precomputed", path=str(encoder.files.path), model="m", dim=4)
    images = params.embed_images.model_copy(update={"encoders": {"clip": settings}})
    update = update_index([str(tmp_path / "photos")], tmp_path / "index", ["clip"], images, params.embed, exact_max=10)
    assert dict(update.set_aside) == {"no_vector": 1}
    vectors = update.index.vectors["clip"].values.tolist()
    names = [Path(path).relative_to(tmp_path / "photos").as_posix() for path in update.index.table["path"].to_pylist()]
    assert dict(zip(names, vectors, strict=True)) == {"sub/a.png": EYE[0].tolist(), "a.png": EYE[1].tolist()}

    with pytest.raises(SearchError, match=r"contains the photos of .*photos, which .* would replace"):
        index_vectors(tmp_path / "index", {"clip": encoder}, exact_max=10)
    index_vectors(tmp_path / "index", {"clip": encoder}, exact_max=10, allow_removals=True)
    with pytest.raises(SearchError, match=r"exist only as vectors in .*v\.parquet\. Update .* `kadr index --vectors"):
        update_index([], tmp_path / "index", ["clip"], images, params.embed, exact_max=10)


def test_texts_with_vectors_are_searched_without_a_run_of_the_pipeline(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = load_params(project / "params.yaml")
    monkeypatch.chdir(tmp_path)
    index_vectors(Path("index"), {"clip": write(Path("v.parquet"), EYE[:2], image_id=["a", "b"])}, exact_max=10)
    vectors = pa.array(EYE[:2].tolist(), pa.list_(pa.float32()))
    pq.write_table(pa.table({"caption": ["A dog.", "a cat"], "vector": vectors}), "t.parquet")
    settings = PrecomputedParams(backend="precomputed", path="t.parquet", model="m", dim=4)
    sections = {name: getattr(params, name) for name in ("embed_images", "embed_texts")}
    changed = {name: section.model_copy(update={"encoders": {"clip": settings}}) for name, section in sections.items()}
    params = params.model_copy(update=changed)
    searcher = load_searcher(PROJECT.index_artifacts(Path("index")), params)
    assert [match.image_id for match in searcher.search(parse_query("a dog"), 1)] == ["a"]
    with pytest.raises(SearchError, match="'zebra' has no vector"):
        searcher.search(parse_query("zebra"), 1)
