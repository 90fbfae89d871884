"""The embedding engine with a fake encoder: nothing is computed twice, and no order changes a vector."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from kadr.embed import EmbeddingCache, bad_photos, embed_images, embed_texts
from kadr.encoders.base import Identity, ImageEncoder, Pixels, TextEncoder, unit
from kadr.errors import EncoderError, InputError
from kadr.io.embeddings import Vectors
from kadr.io.schemas import IMAGES

IDENTITY = Identity("fake", "a", "b", "c", "fp32")


def hashed(content: bytes) -> Vectors:
    numbers = np.frombuffer(hashlib.sha256(content).digest()[:8], dtype=np.uint8).astype(np.float32)
    return unit(numbers[None] - 100, "fake")[0]


class FakeImageEncoder(ImageEncoder):
    def __init__(self, breaks_after: int = 10**9) -> None:
        self.identity, self.dim, self.batches, self._left = IDENTITY, 8, [], breaks_after

    def prepare(self, image: Image.Image) -> Pixels:
        return np.asarray(image.resize((4, 4)), dtype=np.float32).transpose(2, 0, 1)

    def encode(self, photos: Sequence[Pixels]) -> Vectors:
        if len(self.batches) >= self._left:
            raise KeyboardInterrupt
        self.batches.append(len(photos))
        return np.stack([hashed(one.tobytes()) for one in photos])


class FakeTextEncoder(TextEncoder):
    def __init__(self) -> None:
        self.identity, self.dim, self.seen = IDENTITY, 8, []

    @classmethod
    def fit(cls, spec: Any, precision: Any, texts: Sequence[str], seed: int) -> Self:
        return cls()

    @classmethod
    def load(cls, spec: Any, precision: Any, folder: Path) -> Self:
        return cls()

    def transform(self, texts: Sequence[str]) -> Vectors:
        self.seen.append(list(texts))
        return np.stack([hashed(text.encode()) for text in texts])


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    return EmbeddingCache(tmp_path / "cache", IDENTITY, 8)


@pytest.fixture
def images(tmp_path: Path) -> pa.Table:
    return pa.Table.from_pylist(
        [photo(tmp_path, name, shade) for name, shade in (("b", 40), ("a", 200), ("c", 90))], IMAGES
    )


def photo(folder: Path, name: str, shade: int, status: str = "ok") -> dict[str, object]:
    path = folder / f"{name}.png"
    Image.new("RGB", (6, 5), (shade, 0, 255 - shade)).save(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"image_id": name, "path": str(path), "split": "train", "sha256": sha256, "status": status}


def test_photos_come_by_sorted_id_with_the_encoder_in_the_metadata(images: pa.Table, cache: EmbeddingCache) -> None:
    embeddings = embed_images(FakeImageEncoder(), images, cache, 2)
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


def test_neither_order_nor_batches_nor_the_cache_change_a_vector(
    images: pa.Table, cache: EmbeddingCache, tmp_path: Path
) -> None:
    missed = embed_images(FakeImageEncoder(), images, cache, 2).vectors
    encoder = FakeImageEncoder()
    hit = embed_images(encoder, images, cache, 2).vectors
    assert encoder.batches == []
    turned = images.take([2, 0, 1])
    other = embed_images(FakeImageEncoder(), turned, EmbeddingCache(tmp_path / "other", IDENTITY, 8), 3).vectors
    np.testing.assert_array_equal(missed, hit)
    np.testing.assert_array_equal(missed, other)


def test_only_the_new_photo_is_computed_and_a_moved_one_is_not(
    images: pa.Table, cache: EmbeddingCache, tmp_path: Path
) -> None:
    embed_images(FakeImageEncoder(), images, cache, 2)
    rows = images.to_pylist()
    moved = Path(rows[0]["path"]).rename(tmp_path / "moved.png")
    rows[0] |= {"image_id": "renamed", "path": str(moved)}
    encoder = FakeImageEncoder()
    embed_images(encoder, pa.Table.from_pylist([*rows, photo(tmp_path, "new", 7)], IMAGES), cache, 2)
    assert encoder.batches == [1]


def test_equal_photos_are_computed_once_and_bad_ones_left_out(tmp_path: Path, cache: EmbeddingCache) -> None:
    rows = [photo(tmp_path, "a", 1), photo(tmp_path, "twin", 1), photo(tmp_path, "bad", 2, status="unreadable")]
    encoder = FakeImageEncoder()
    embeddings = embed_images(encoder, pa.Table.from_pylist(rows, IMAGES), cache, 2)
    assert encoder.batches == [1]
    assert list(embeddings.ids) == ["a", "twin"]
    np.testing.assert_array_equal(embeddings.vectors[0], embeddings.vectors[1])


def test_an_interruption_keeps_what_is_done(images: pa.Table, cache: EmbeddingCache) -> None:
    with pytest.raises(KeyboardInterrupt):
        embed_images(FakeImageEncoder(breaks_after=2), images, cache, 1)
    encoder = FakeImageEncoder()
    embed_images(encoder, images, cache, 1)
    assert encoder.batches == [1]


def test_a_photo_that_changed_since_ingest_is_named(images: pa.Table, cache: EmbeddingCache) -> None:
    path = Path(images.column("path")[1].as_py())
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(InputError, match=f"{path}.*changed.*dvc repro"):
        embed_images(FakeImageEncoder(), images, cache, 2)
    path.unlink()
    with pytest.raises(InputError, match=f"{path}.*cannot be read.*restore it"):
        embed_images(FakeImageEncoder(), images, cache, 2)


def test_a_photo_that_does_not_decode_is_noted_and_not_tried_again(
    images: pa.Table, tmp_path: Path, cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = images.to_pylist()
    for name, content in (("bad", b"no photo"), ("huge", b"")):
        path = tmp_path / f"{name}.png"
        if content:
            path.write_bytes(content)
        else:
            Image.new("L", (200, 100)).save(path)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        rows.append({"image_id": name, "path": str(path), "split": "train", "sha256": sha256, "status": "ok"})
    table = pa.Table.from_pylist(rows, IMAGES)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9_000)
    encoder = FakeImageEncoder()
    embeddings = embed_images(encoder, table, cache, 2)
    assert list(embeddings.ids) == ["a", "b", "c"]
    assert sum(encoder.batches) == 3
    assert bad_photos(images, embeddings, cache) == {}
    assert bad_photos(table, embeddings, cache) == {"bad": "unreadable", "huge": "too_large"}
    Path(rows[-1]["path"]).unlink()
    assert list(embed_images(encoder, table, cache, 2).ids) == ["a", "b", "c"]
    assert sum(encoder.batches) == 3


def test_a_photo_lying_on_its_side_is_embedded_upright(tmp_path: Path, cache: EmbeddingCache) -> None:
    upright = Image.new("RGB", (8, 8))
    upright.paste((255, 0, 0), (0, 0, 8, 4))
    upright.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.rotate(90).save(tmp_path / "aside.png", exif=exif)
    rows = []
    for name in ("upright", "aside"):
        path = tmp_path / f"{name}.png"
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        rows.append({"image_id": name, "path": str(path), "split": "train", "sha256": sha256, "status": "ok"})
    embeddings = embed_images(FakeImageEncoder(), pa.Table.from_pylist(rows, IMAGES), cache, 2)
    np.testing.assert_array_equal(embeddings.vectors[0], embeddings.vectors[1])


def test_no_photos_and_no_texts(cache: EmbeddingCache) -> None:
    assert embed_images(FakeImageEncoder(), IMAGES.empty_table(), cache, 2).vectors.shape == (0, 8)
    assert embed_texts(FakeTextEncoder(), [], [], cache, 2).vectors.shape == (0, 8)


def test_texts_go_by_length_and_equal_ones_once(cache: EmbeddingCache) -> None:
    encoder = FakeTextEncoder()
    texts = ["a long text", "dog", " dog\n", "a cat"]
    embeddings = embed_texts(encoder, ["q2", "q1", "c1", "c2"], texts, cache, 2)
    assert encoder.seen == [["dog", "a cat"], ["a long text"]]
    assert list(embeddings.ids) == ["c1", "c2", "q1", "q2"]
    np.testing.assert_array_equal(embeddings.select(["q1"]), embeddings.select(["c1"]))
    np.testing.assert_array_equal(embeddings.select(["q2"])[0], hashed(b"a long text"))


def test_an_id_has_one_content(cache: EmbeddingCache, tmp_path: Path) -> None:
    assert len(embed_texts(FakeTextEncoder(), ["q", "q"], ["a dog", "a  dog"], cache, 2).ids) == 1
    with pytest.raises(InputError, match="'q' comes with two contents"):
        embed_texts(FakeTextEncoder(), ["q", "q"], ["a dog", "a cat"], cache, 2)
    rows = [photo(tmp_path, "a", 1), {**photo(tmp_path, "b", 2), "image_id": "a"}]
    with pytest.raises(InputError, match="'a' comes with two contents"):
        embed_images(FakeImageEncoder(), pa.Table.from_pylist(rows, IMAGES), cache, 2)


def test_workers_and_their_number_change_nothing(images: pa.Table, cache: EmbeddingCache, tmp_path: Path) -> None:
    one = embed_images(FakeImageEncoder(), images, cache, 1).vectors
    encoder = FakeImageEncoder()
    encoder.workers = 3
    many = embed_images(encoder, images, EmbeddingCache(tmp_path / "other", IDENTITY, 8), 1).vectors
    np.testing.assert_array_equal(one, many)


@pytest.mark.parametrize("bad", [[[0.0, 0.0]], [[np.nan, 1.0]], [[np.inf, 1.0]]])
def test_a_vector_without_direction_is_an_error(bad: list[list[float]]) -> None:
    with pytest.raises(EncoderError, match="fp32"):
        unit(np.array(bad), "fake")
