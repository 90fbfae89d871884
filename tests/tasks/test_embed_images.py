"""Stage embed_images@<encoder>: the ok photos of both tables, once, by the encoder that is named."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from kadr.encoders.base import Identity, ImageEncoder, Pixels, unit
from kadr.errors import InputError, ParamsError
from kadr.io.embeddings import Embeddings
from kadr.io.schemas import IMAGES, write_table
from kadr.params import load_params
from kadr.project import PROJECT
from tasks import embed_images


class FakeEncoder(ImageEncoder):
    identity, dim = Identity("fake", "images", "b", "c", "fp32"), 3

    def prepare(self, image: Image.Image) -> Pixels:
        return np.asarray(image, dtype=np.float32)[:1, :1].transpose(2, 0, 1)

    def encode(self, photos: Sequence[Pixels]) -> np.ndarray:
        return unit(np.stack(photos)[:, :, 0, 0] + 1, "fake")


def row(name: str, split: str, status: str = "ok") -> dict[str, object]:
    path = Path(f"{name}.png")
    Image.new("RGB", (2, 2), (len(name), 0, 9)).save(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"image_id": name, "path": str(path), "split": split, "sha256": sha256, "status": status}


def test_the_stage_embeds_the_ok_photos_of_both_tables(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = load_params(project / "params.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(embed_images, "load_image_encoder", lambda spec, precision: FakeEncoder())
    images = [row("b", "train"), row("aa", "test"), row("bad", "train", "truncated")]
    write_table(pa.Table.from_pylist(images, IMAGES), PROJECT.images, IMAGES)
    write_table(pa.Table.from_pylist([row("cccc", "corpus")], IMAGES), PROJECT.corpus, IMAGES)
    metrics = embed_images.stage(params, "clip")
    table = PROJECT.image_embeddings / "clip.parquet"
    written = table.read_bytes()
    assert metrics == {"n": 3, "dim": 3, "encoder_key": FakeEncoder.identity.key, "weights_sha256": "b"}
    assert list(Embeddings.read(table).ids) == ["aa", "b", "cccc"]
    assert Embeddings.read(table).metadata["encoder"] == "fake"
    assert embed_images.stage(params, "clip") == metrics
    assert table.read_bytes() == written


def test_an_unknown_encoder_is_named_with_those_that_are_known(project: Path) -> None:
    with pytest.raises(ParamsError, match="no 'nonsense'; it has clip"):
        embed_images.stage(load_params(project / "params.yaml"), "nonsense")


@pytest.mark.parametrize("arguments", [[], ["clip", "more"]])
def test_the_command_line_wants_one_name(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="usage"):
        embed_images.main(arguments)


def test_a_photo_that_ingest_read_and_that_does_not_decode_ends_the_stage_after_all_others(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = load_params(project / "params.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KADR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(embed_images, "load_image_encoder", lambda spec, precision: FakeEncoder())
    bad = row("bad", "train") | {"sha256": hashlib.sha256(b"no photo").hexdigest()}
    Path("bad.png").write_bytes(b"no photo")
    write_table(pa.Table.from_pylist([row("a", "train"), bad], IMAGES), PROJECT.images, IMAGES)
    write_table(pa.Table.from_pylist([], IMAGES), PROJECT.corpus, IMAGES)
    with pytest.raises(InputError, match=r"1 of 2 photos .* do not decode: bad \(unreadable\); .*Mend"):
        embed_images.stage(params, "clip")
    write_table(pa.Table.from_pylist([row("a", "train")], IMAGES), PROJECT.images, IMAGES)
    assert embed_images.stage(params, "clip")["n"] == 1
