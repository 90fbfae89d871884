"""A folder of small images, and a fast encoder to index them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kadr.collection import IndexUpdate, update_index, vectors
from kadr.encoders.base import Identity, ImageEncoder, Pixels, to_unit_norm
from kadr.index import Index
from kadr.io.embeddings import Embeddings, Vectors
from kadr.params import DecodingParams, EmbedImagesParams, OcrScript, load_params

PARAMS = load_params(Path(__file__).parents[3] / "params.yaml")


class MeanColour(ImageEncoder):
    """An encoder that returns the mean colour of an image."""

    n_encoded = 0

    def __init__(self, _spec: object = None, _precision: object = None, _decoding: object = None) -> None:
        self.identity, self.dim = Identity("mean", "mean", "0", "0", "fp32"), 3

    def preprocess(self, image: Image.Image) -> Pixels:
        return np.asarray(image).reshape(-1, 3).mean(axis=0)

    def encode(self, photos: Sequence[Pixels]) -> Vectors:
        MeanColour.n_encoded += len(photos)
        return to_unit_norm(np.stack(photos) + 1, "mean")


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a folder with three images, a hidden image, a text file and an invalid image."""
    monkeypatch.setenv("KADR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(vectors, "load_image_encoder", MeanColour)
    monkeypatch.setattr(MeanColour, "n_encoded", 0)
    folder = tmp_path / "photos"
    for name, colour in (
        ("red.png", "red"),
        ("2024/blue.jpg", "blue"),
        ("2024/green.webp", "green"),
        (".h.png", "red"),
    ):
        write(folder / name, colour)
    (folder / "notes.txt").write_text("text")
    (folder / "broken.JPG").write_bytes(b"text")
    return folder


def write(path: Path, colour: str, size: tuple[int, int] = (60, 40)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def run(
    folder: Path,
    *addresses: object,
    encoders: Sequence[str] = ("clip",),
    params: EmbedImagesParams = PARAMS.embed_images,
    exact_max: int = 1000,
    max_pixels: int = 10_000,
    texts: Embeddings | None = None,
    exclude: Sequence[str] | None = None,
    allow_removals: bool = False,
    rescan: bool = False,
    ocr: OcrScript | None = None,
) -> IndexUpdate:
    return update_index(
        [str(address) for address in addresses],
        folder,
        encoders,
        params,
        PARAMS.embed,
        exact_max=exact_max,
        decoding=DecodingParams(max_pixels=max_pixels),
        texts=texts,
        exclude=exclude,
        allow_removals=allow_removals,
        rescan=rescan,
        ocr=ocr,
    )


def paths(index: Index) -> list[str]:
    return sorted(Path(path).name for path in index.table["path"].to_pylist())


def changed(result: IndexUpdate) -> dict[str, int]:
    return {change: n for change, n in result.changes.items() if n}
