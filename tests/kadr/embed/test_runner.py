"""Embedding with fake encoders: cache hits, order, batches, undecodable images and interrupted runs."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from kadr.embed import EmbeddingCache, embed_images, embed_texts, undecodable_images
from kadr.encoders.base import Identity, ImageEncoder, Pixels, TextEncoder, to_unit_norm
from kadr.errors import EncoderError, InputError
from kadr.io.embeddings import Vectors
from kadr.io.schemas import IMAGES

IDENTITY = Identity("fake", "a", "b", "c", "fp32")


def hash_vector(content: bytes) -> Vectors:
    numbers = np.frombuffer(hashlib.sha256(content).digest()[:8], dtype=np.uint8).astype(np.float32)
    return to_unit_norm(numbers[None] - 100, "fake")[0]


class FakeImageEncoder(ImageEncoder):
    """Encoder that hashes the pixels and records the sizes of its batches."""

    def __init__(self, max_batches: int = 10**9) -> None:
        self.identity, self.dim, self.batches, self._max_batches = IDENTITY, 8, [], max_batches

    def preprocess(self, image: Image.Image) -> Pixels:
        return np.asarray(image.resize((4, 4)), dtype=np.float32).transpose(2, 0, 1)

    def encode(self, images: Sequence[Pixels]) -> Vectors:
        if len(self.batches) >= self._max_batches:
            raise KeyboardInterrupt
        self.batches.append(len(images))
        return np.stack([hash_vector(image.tobytes()) for image in images])


class FakeTextEncoder(TextEncoder):
    """Encoder that hashes the text and records its batches."""

    def __init__(self) -> None:
        self.identity, self.dim, self.batches = IDENTITY, 8, []

    @classmethod
    def fit(cls, params: Any, precision: Any, texts: Sequence[str], seed: int) -> Self:
        return cls()

    @classmethod
    def load(cls, params: Any, precision: Any, folder: Path) -> Self:
        return cls()

    def transform(self, texts: Sequence[str]) -> Vectors:
        self.batches.append(list(texts))
        return np.stack([hash_vector(text.encode()) for text in texts])


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    return EmbeddingCache(tmp_path / "cache", IDENTITY, 8)


@pytest.fixture
def images(tmp_path: Path) -> pa.Table:
    shades = {"b": 40, "a": 200, "c": 90}
    return pa.Table.from_pylist([write_image(tmp_path, name, shade) for name, shade in shades.items()], IMAGES)


def table_row(path: Path, status: str = "ok") -> dict[str, object]:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"image_id": path.stem, "path": str(path), "split": "train", "sha256": sha256, "status": status}


def write_image(folder: Path, name: str, shade: int, status: str = "ok") -> dict[str, object]:
    path = folder / f"{name}.png"
    Image.new("RGB", (6, 5), (shade, 0, 255 - shade)).save(path)
    return table_row(path, status)


def test_embeddings_are_sorted_by_id_and_contain_the_identity(images: pa.Table, cache: EmbeddingCache) -> None:
    embeddings = embed_images(FakeImageEncoder(), images, cache, 2).load()
    assert list(embeddings.ids) == ["a", "b", "c"]
    np.testing.assert_allclose(np.linalg.norm(embeddings.vectors, axis=1), 1, atol=1e-6)
    assert embeddings.metadata == {
        "key": IDENTITY.key,
        "encoder": "fake",
        "architecture": "a",
        "weights_sha256": "b",
        "preprocessing": "c",
        "precision": "fp32",
    }


def test_vectors_do_not_depend_on_order_batch_size_or_cache(
    images: pa.Table, cache: EmbeddingCache, tmp_path: Path
) -> None:
    computed = embed_images(FakeImageEncoder(), images, cache, 2).load().vectors
    encoder = FakeImageEncoder()
    cached = embed_images(encoder, images, cache, 2).load().vectors
    assert encoder.batches == []
    reordered = images.take([2, 0, 1])
    other_cache = EmbeddingCache(tmp_path / "other", IDENTITY, 8)
    recomputed = embed_images(FakeImageEncoder(), reordered, other_cache, 3).load().vectors
    np.testing.assert_array_equal(computed, cached)
    np.testing.assert_array_equal(computed, recomputed)


def test_another_engine_gets_the_missing_keys_in_the_order_of_the_local_engine(
    images: pa.Table, cache: EmbeddingCache
) -> None:
    filled: list[list[str]] = []

    def fill(content_by_key: Mapping[str, str]) -> int:
        filled.append([Path(content).stem for content in content_by_key.values()])
        return 0

    embed_images(FakeImageEncoder(), images, cache, 2, fill=fill)
    texts = ["long text", "b", "a", "text"]
    encoder = FakeTextEncoder()
    embed_texts(encoder, texts, texts, cache, 2, fill=fill)
    assert filled == [["a", "b", "c"], ["a", "b", "text", "long text"]]
    assert encoder.batches == [["a", "b"], ["text", "long text"]]


def test_only_new_images_are_computed_and_moved_images_are_not(
    images: pa.Table, cache: EmbeddingCache, tmp_path: Path
) -> None:
    embed_images(FakeImageEncoder(), images, cache, 2)
    rows = images.to_pylist()
    moved = Path(rows[0]["path"]).rename(tmp_path / "moved.png")
    rows[0] |= {"image_id": "renamed", "path": str(moved)}
    encoder = FakeImageEncoder()
    embed_images(encoder, pa.Table.from_pylist([*rows, write_image(tmp_path, "new", 7)], IMAGES), cache, 2)
    assert encoder.batches == [1]


def test_identical_images_are_computed_once_and_invalid_images_are_left_out(
    tmp_path: Path, cache: EmbeddingCache
) -> None:
    rows = [
        write_image(tmp_path, "a", 1),
        write_image(tmp_path, "copy", 1),
        write_image(tmp_path, "invalid", 2, status="broken"),
    ]
    encoder = FakeImageEncoder()
    embeddings = embed_images(encoder, pa.Table.from_pylist(rows, IMAGES), cache, 2).load()
    assert encoder.batches == [1]
    assert list(embeddings.ids) == ["a", "copy"]
    np.testing.assert_array_equal(embeddings.vectors[0], embeddings.vectors[1])


def test_an_interrupted_run_keeps_its_batches(images: pa.Table, cache: EmbeddingCache) -> None:
    with pytest.raises(KeyboardInterrupt):
        embed_images(FakeImageEncoder(max_batches=2), images, cache, 1)
    encoder = FakeImageEncoder()
    embed_images(encoder, images, cache, 1)
    assert encoder.batches == [1]


def test_an_image_that_changed_since_ingest_is_an_error(images: pa.Table, cache: EmbeddingCache) -> None:
    path = Path(images.column("path")[1].as_py())
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(InputError, match=f"{path}.*changed.*dvc repro"):
        embed_images(FakeImageEncoder(), images, cache, 2)


def test_a_missing_image_is_an_error(images: pa.Table, cache: EmbeddingCache) -> None:
    path = Path(images.column("path")[1].as_py())
    path.unlink()
    with pytest.raises(InputError, match=f"{path}.*cannot be read.*Restore"):
        embed_images(FakeImageEncoder(), images, cache, 2)


def test_the_cache_remembers_undecodable_images(images: pa.Table, tmp_path: Path, cache: EmbeddingCache) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not an image")
    cut = tmp_path / "cut.png"
    content = (tmp_path / "a.png").read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    table = pa.Table.from_pylist([*images.to_pylist(), table_row(broken), table_row(cut)], IMAGES)
    encoder = FakeImageEncoder()
    embeddings = embed_images(encoder, table, cache, 2).load()
    assert list(embeddings.ids) == ["a", "b", "c"]
    assert sum(encoder.batches) == 3
    assert undecodable_images(images, embeddings, cache) == {}
    statuses = undecodable_images(table, embeddings, cache)
    assert set(statuses) == {"broken", "cut"}
    assert statuses["broken"] == "not_an_image"
    broken.unlink()
    assert embed_images(encoder, table, cache, 2).load().ids == ["a", "b", "c"]
    assert sum(encoder.batches) == 3


def test_an_image_with_an_exif_orientation_is_embedded_upright(tmp_path: Path, cache: EmbeddingCache) -> None:
    upright = Image.new("RGB", (8, 8))
    upright.paste((255, 0, 0), (0, 0, 8, 4))
    upright.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.rotate(90).save(tmp_path / "rotated.png", exif=exif)
    rows = [table_row(tmp_path / f"{name}.png") for name in ("upright", "rotated")]
    assert rows[0]["sha256"] != rows[1]["sha256"]
    embeddings = embed_images(FakeImageEncoder(), pa.Table.from_pylist(rows, IMAGES), cache, 2).load()
    np.testing.assert_array_equal(embeddings.vectors[0], embeddings.vectors[1])


def test_empty_tables_return_empty_embeddings(cache: EmbeddingCache) -> None:
    assert embed_images(FakeImageEncoder(), IMAGES.empty_table(), cache, 2).load().vectors.shape == (0, 8)
    assert embed_texts(FakeTextEncoder(), [], [], cache, 2).vectors.shape == (0, 8)


def test_texts_are_sorted_by_length_and_equal_texts_are_computed_once(cache: EmbeddingCache) -> None:
    encoder = FakeTextEncoder()
    texts = ["a long text", "dog", " dog\n", "a cat"]
    embeddings = embed_texts(encoder, ["q2", "q1", "c1", "c2"], texts, cache, 2)
    assert encoder.batches == [["dog", "a cat"], ["a long text"]]
    assert list(embeddings.ids) == ["c1", "c2", "q1", "q2"]
    np.testing.assert_array_equal(embeddings.select(["q1"]), embeddings.select(["c1"]))
    np.testing.assert_array_equal(embeddings.select(["q2"])[0], hash_vector(b"a long text"))


def test_an_id_with_two_different_contents_is_an_error(cache: EmbeddingCache, tmp_path: Path) -> None:
    assert len(embed_texts(FakeTextEncoder(), ["q", "q"], ["a dog", "a  dog"], cache, 2).ids) == 1
    with pytest.raises(InputError, match="Two different images or texts have the ID 'q'"):
        embed_texts(FakeTextEncoder(), ["q", "q"], ["a dog", "a cat"], cache, 2)
    rows = [write_image(tmp_path, "a", 1), {**write_image(tmp_path, "b", 2), "image_id": "a"}]
    with pytest.raises(InputError, match="Two different images or texts have the ID 'a'"):
        embed_images(FakeImageEncoder(), pa.Table.from_pylist(rows, IMAGES), cache, 2)


def test_vectors_do_not_depend_on_the_number_of_workers(
    images: pa.Table, cache: EmbeddingCache, tmp_path: Path
) -> None:
    expected = embed_images(FakeImageEncoder(), images, cache, 1).load().vectors
    encoder = FakeImageEncoder()
    encoder.workers = 3
    vectors = embed_images(encoder, images, EmbeddingCache(tmp_path / "other", IDENTITY, 8), 1).load().vectors
    np.testing.assert_array_equal(vectors, expected)


@pytest.mark.parametrize("vector", [[[0.0, 0.0]], [[np.nan, 1.0]], [[np.inf, 1.0]]])
def test_a_vector_that_is_zero_or_not_finite_is_an_error(vector: list[list[float]]) -> None:
    with pytest.raises(EncoderError, match="fp32"):
        to_unit_norm(np.array(vector), "fake")
