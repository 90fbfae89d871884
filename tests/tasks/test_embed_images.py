"""Stage embed_images@<encoder>, run with a fake encoder."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from kadr.encoders.base import Identity, ImageEncoder, Pixels, to_unit_norm
from kadr.errors import InputError, ParamsError
from kadr.io.embeddings import Embeddings
from kadr.io.schemas import IMAGES, write_table
from kadr.params import Params, load_params
from kadr.project import PROJECT
from tasks import embed_images


class FakeEncoder(ImageEncoder):
    """Encoder that returns the colour of the first pixel."""

    identity, dim = Identity("fake", "images", "b", "c", "fp32"), 3

    def preprocess(self, image: Image.Image) -> Pixels:
        return np.asarray(image, dtype=np.float32)[:1, :1].transpose(2, 0, 1)

    def encode(self, images: Sequence[Pixels]) -> np.ndarray:
        return to_unit_norm(np.stack(images)[:, :, 0, 0] + 1, "fake")


@pytest.fixture
def params(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Return the settings, change to an empty working directory, and replace every encoder by a FakeEncoder."""
    params = load_params(project / "params.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KADR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(embed_images, "load_image_encoder", lambda params, precision, decoding: FakeEncoder())
    return params


def write_image(name: str, split: str, status: str = "ok") -> dict[str, object]:
    path = Path(f"{name}.png")
    Image.new("RGB", (2, 2), (len(name), 0, 9)).save(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"image_id": name, "path": str(path), "split": split, "sha256": sha256, "status": status}


def write_tables(images: list[dict[str, object]], corpus: list[dict[str, object]]) -> None:
    write_table(pa.Table.from_pylist(images, IMAGES), PROJECT.images, IMAGES)
    write_table(pa.Table.from_pylist(corpus, IMAGES), PROJECT.corpus, IMAGES)


def test_the_stage_embeds_the_valid_images_of_both_tables(params: Params) -> None:
    images = [write_image("b", "train"), write_image("aa", "test"), write_image("bad", "train", "truncated")]
    write_tables(images, [write_image("cccc", "corpus")])
    metrics = embed_images.stage(params, "clip")
    table = PROJECT.image_embeddings / "clip.parquet"
    content = table.read_bytes()
    assert metrics == {"n": 3, "dim": 3, "encoder_key": FakeEncoder.identity.key, "weights_sha256": "b"}
    assert list(Embeddings.read(table).ids) == ["aa", "b", "cccc"]
    assert Embeddings.read(table).metadata["encoder"] == "fake"
    assert embed_images.stage(params, "clip") == metrics
    assert table.read_bytes() == content


def test_an_unknown_encoder_is_an_error_that_lists_the_encoders(params: Params) -> None:
    with pytest.raises(ParamsError, match=r"no encoder 'nonsense'\. Use one of .*: clip, efficientnet_lite2"):
        embed_images.stage(params, "nonsense")


@pytest.mark.parametrize("arguments", [[], ["clip", "more"]])
def test_the_command_needs_one_encoder(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="usage"):
        embed_images.main(arguments)


def test_an_undecodable_image_fails_the_stage_after_all_other_images(params: Params) -> None:
    bad = write_image("bad", "train") | {"sha256": hashlib.sha256(b"not an image").hexdigest()}
    Path("bad.png").write_bytes(b"not an image")
    write_tables([write_image("a", "train"), bad], [])
    with pytest.raises(InputError, match=r"1 of 2 images cannot be decoded: bad \(not_an_image\)\. Fix"):
        embed_images.stage(params, "clip")
    write_tables([write_image("a", "train")], [])
    assert embed_images.stage(params, "clip")["n"] == 1


def test_an_image_without_a_file_cannot_be_embedded(params: Params) -> None:
    row = {"image_id": "a", "path": "a.jpg", "split": "train", "status": "ok"}
    write_table(pa.Table.from_pylist([row], IMAGES), PROJECT.images, IMAGES)
    write_table(IMAGES.empty_table(), PROJECT.corpus, IMAGES)
    with pytest.raises(InputError, match="1 images have no file, such as 'a', so they cannot be embedded"):
        embed_images.stage(params, "clip")
