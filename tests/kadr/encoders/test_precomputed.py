"""Precomputed vectors: joins by ID, path and file name, and checks of the vectors."""

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kadr.encoders.precomputed import PrecomputedImageEncoder, PrecomputedParams
from kadr.encoders.precomputed_texts import PrecomputedTextEncoder
from kadr.errors import EncoderError, InputError, SearchError
from kadr.io.schemas import IMAGES
from kadr.io.vector_files import relative_paths

EYE = np.eye(4, dtype=np.float32)


def params(path: Path, dim: int = 4, model: str = "ViT-B-32/openai") -> PrecomputedParams:
    return PrecomputedParams(backend="precomputed", path=str(path), model=model, dim=dim)


def write(
    path: Path, vectors: npt.NDArray[np.float32], metadata: dict[str, str] | None = None, **names: list[str]
) -> Path:
    """Write a Parquet file of vectors."""
    table = pa.table({**names, "vector": pa.array(vectors.tolist(), pa.list_(pa.float32()))})
    pq.write_table(table.replace_schema_metadata(metadata), path)
    return path


def images(*paths: str) -> pa.Table:
    rows = [{"image_id": Path(path).name, "path": path, "split": "train", "status": "ok"} for path in paths]
    return pa.Table.from_pylist(rows, IMAGES)


def test_images_are_joined_by_id_then_by_path_then_by_file_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = ["a.jpg", "data/b.jpg", "https://example.org/x/c.jpg?w=640", "other.jpg"]
    path = write(tmp_path / "v.parquet", EYE, image_path=names)
    encoder = PrecomputedImageEncoder.load(params(path), "auto")
    with caplog.at_level(logging.INFO):
        embeddings, problems = encoder.select(images("data/c.jpg", "data/b.jpg", "data/a.jpg", "data/d.jpg"))
    assert (embeddings.load().ids, problems) == (["a.jpg", "b.jpg", "c.jpg"], {"d.jpg": "no_vector"})
    assert embeddings.load().vectors.tolist() == EYE[:3].tolist()
    assert "3 of 4 images or texts have a vector" in caplog.text
    assert "https://example.org/x/c.jpg?w=640" in caplog.text


def test_keys_of_shards_match_file_names_without_suffix(tmp_path: Path) -> None:
    path = write(tmp_path / "v.parquet", EYE[:2], image_path=["000000012", "000000013"], url=["u", "v"])
    embeddings, problems = PrecomputedImageEncoder.load(params(path), "auto").select(
        images("data/000000012.jpg", "data/000000013.jpg")
    )
    assert (embeddings.load().vectors.tolist(), problems) == (EYE[:2].tolist(), {})


def test_a_name_that_fits_two_images_is_not_joined(tmp_path: Path) -> None:
    path = write(tmp_path / "v.parquet", EYE[:1], image_path=["/old/a.jpg"])
    table = images("p/1/a.jpg", "p/2/a.jpg").set_column(0, "image_id", pa.array(["1/a.jpg", "2/a.jpg"]))
    _, problems = PrecomputedImageEncoder.load(params(path), "auto").select(table)
    assert problems == {"1/a.jpg": "no_vector", "2/a.jpg": "no_vector"}


def test_invalid_vectors_are_set_aside_and_other_norms_are_scaled(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    vectors = np.stack([EYE[0] * 5, EYE[1] * 0, EYE[2] * np.nan, EYE[3] * np.float32(1.0005)])
    path = write(tmp_path / "v.parquet", vectors, image_id=["a", "b", "c", "d"])
    with caplog.at_level(logging.INFO):
        embeddings, problems = PrecomputedImageEncoder.load(params(path), "auto").select(images("a", "b", "c", "d"))
    assert problems == {"b": "invalid_vector", "c": "invalid_vector"}
    float16_vector = [0, 0, 0, np.float32(1.0005)]  # stays exact
    assert embeddings.load().vectors.tolist() == [[1, 0, 0, 0], float16_vector]
    assert "1 vectors were scaled to unit norm. Their norms are 5 to 5" in caplog.text


def test_repeated_vectors_must_be_equal(tmp_path: Path) -> None:
    path = write(tmp_path / "v.parquet", EYE[[0, 0, 1]], image_id=["a", "a", "b"])
    embeddings, _ = PrecomputedImageEncoder.load(params(path), "auto").select(images("a", "b"))
    assert embeddings.load().vectors.tolist() == EYE[:2].tolist()
    path = write(tmp_path / "v.parquet", EYE[[0, 2, 1]], image_id=["A.jpg", "A.jpg", "b"])
    with pytest.raises(InputError, match=r"row 1 and .*v\.parquet, row 2: 'A\.jpg' has two different vectors"):
        PrecomputedImageEncoder.load(params(path), "auto").select(images("a.jpg", "b"))


def test_another_length_or_model_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "v.parquet", EYE, {"encoder": "open_clip ViT-B-32 openai"}, image_id=list("abcd"))
    assert PrecomputedImageEncoder.load(params(path), "auto").dim == 4
    with pytest.raises(InputError, match="have 4 dimensions, but `dim` is 512"):
        PrecomputedImageEncoder.load(params(path, dim=512), "auto")
    with pytest.raises(EncoderError, match="computed by open_clip ViT-B-32 openai, but `model` is ViT-L-14/openai"):
        PrecomputedImageEncoder.load(params(path, model="ViT-L-14/openai"), "auto")


def test_the_metadata_change_with_the_vectors(tmp_path: Path) -> None:
    digests = set()
    for vectors in (EYE, EYE[::-1]):
        path = write(tmp_path / "v.parquet", vectors, image_id=list("abcd"))
        embeddings, _ = PrecomputedImageEncoder.load(params(path), "auto").select(images(*"abcd"))
        digests.add(embeddings.metadata["vectors_sha256"])
    assert len(digests) == 2


def test_pixels_cannot_be_encoded(tmp_path: Path) -> None:
    path = write(tmp_path / "v.parquet", EYE, image_id=list("abcd"))
    with pytest.raises(EncoderError, match=r"has only the vectors in .*cannot embed another image"):
        PrecomputedImageEncoder.load(params(path), "auto").encode([EYE])


def test_texts_are_joined_by_id_by_text_and_by_normalised_text(tmp_path: Path) -> None:
    path = write(tmp_path / "v.parquet", EYE, query_id=["q1", "", "", ""], text=["x", "A dog .", "the cat", "snow"])
    fitted = PrecomputedTextEncoder.fit(params(path), "auto", [], 0)
    encoder, embeddings = fitted.select(["q1", "q3", "q2"], ["by id", "The  cat.", "A dog ."])
    assert (list(embeddings.ids), embeddings.vectors.tolist()) == (["q1", "q2", "q3"], EYE[:3].tolist())
    encoder.save(tmp_path / "saved")
    saved = PrecomputedTextEncoder.load(params(tmp_path / "moved"), "auto", tmp_path / "saved")
    assert saved.identity == fitted.identity
    assert saved.transform(["snow", "a dog", "by id"]).tolist() == EYE[[3, 1, 0]].tolist()
    assert saved.transform([]).shape == (0, 4)
    with pytest.raises(SearchError, match=r"'rain' has no vector, because only .* texts were embedded"):
        saved.transform(["snow", "rain"])


def test_a_text_without_a_vector_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "v.parquet", EYE[:2], caption=["a dog", "a cat"])
    encoder = PrecomputedTextEncoder.fit(params(path), "auto", [], 0)
    with pytest.raises(EncoderError, match=r"1 of 2 texts have no valid vector, such as 'a cow'"):
        encoder.select(["1", "2", "3"], ["a dog", "a cow", "a cow"])


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["/a/b/1.jpg", "/a/c/1.jpg"], ["b/1.jpg", "c/1.jpg"]),
        (["/a/b/1.jpg"], ["1.jpg"]),
        (["1.jpg", "x/1.jpg"], ["1.jpg", "x/1.jpg"]),
        ([], []),
    ],
)
def test_paths_are_relative_to_the_common_folder(paths: list[str], expected: list[str]) -> None:
    assert relative_paths(pa.array(paths, pa.string())).to_pylist() == expected
