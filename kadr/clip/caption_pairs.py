"""The clip part's training pairs: corpus photos decoded once, with the tokens of their captions."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from kadr.errors import InputError
from kadr.io.image_decoding import read_photo
from kadr.progress import progress

if TYPE_CHECKING:
    import torch

NO_CAPTION = -1
_THREADS = 2


@dataclass(frozen=True)
class Pairs:
    """Photos and the captions of each.

    Attributes:
        pixels: (n, 3, height, width) uint8, resized as the model wants it.
        tokens: (n_texts, context) int64, one row per distinct caption.
        captions: (n, m) int64, rows of `tokens` that describe each photo, filled up with NO_CAPTION.
    """

    pixels: "torch.Tensor"
    tokens: "torch.Tensor"
    captions: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.captions)

    def select(self, rows: npt.NDArray[np.int64]) -> "Pairs":
        """The pairs of the photos `rows`; the tokens are shared."""
        return Pairs(self.pixels[rows], self.tokens, self.captions[rows])


def read_pairs(
    corpus: pa.Table,
    captions: pa.Table,
    resize: Callable[[Image.Image], "torch.Tensor"],
    tokenize: Callable[[list[str]], "torch.Tensor"],
) -> Pairs:
    """Decode the photos of `corpus` (IMAGES rows) that are ok and have captions, sorted by id.

    Args:
        corpus: an IMAGES table.
        captions: a CAPTIONS table.
        resize: a photo to (3, height, width) float32 in 0..1.
        tokenize: texts to (n, context) int64.

    Raises:
        InputError: where no photo has a caption, or a photo cannot be read.
    """
    texts_of: dict[str, list[str]] = {}
    for caption in captions.sort_by("caption_id").to_pylist():
        texts_of.setdefault(caption["image_id"], []).append(" ".join(caption["text"].split()))
    rows = corpus.sort_by("image_id").to_pylist()
    photos = [row for row in rows if row["status"] == "ok" and row["image_id"] in texts_of]
    if not photos:
        raise InputError(
            "clip.source: train wants captioned photos, got none; give ingest.corpus, or set clip.source: local or hub"
        )
    texts = sorted({text for photo in photos for text in texts_of[photo["image_id"]]})
    row_of = {text: row for row, text in enumerate(texts)}
    captions_of = [sorted({row_of[text] for text in texts_of[photo["image_id"]]}) for photo in photos]
    return Pairs(read_pixels("decode captioned photos", photos, resize), tokenize(texts), _padded(captions_of))


def _padded(rows: list[list[int]]) -> npt.NDArray[np.int64]:
    padded = np.full((len(rows), max(map(len, rows))), NO_CAPTION, dtype=np.int64)
    for photo, captions in enumerate(rows):
        padded[photo, : len(captions)] = captions
    return padded


def read_pixels(
    task: str, photos: Sequence[Mapping[Any, str]], resize: Callable[[Image.Image], "torch.Tensor"]
) -> "torch.Tensor":
    """Photos, rows with path and sha256, as (n, 3, height, width) uint8; `task` names the bar.

    Raises:
        InputError: where one cannot be read.
    """
    import torch

    def read(photo: Mapping[Any, str]) -> torch.Tensor:
        return (resize(read_photo(Path(photo["path"]), photo["sha256"])) * 255).round().to(torch.uint8)

    pixels = []
    with progress(task, len(photos)) as advance, ThreadPoolExecutor(_THREADS) as pool:
        for one in pool.map(read, photos):
            pixels.append(one)
            advance(1)
    return torch.stack(pixels)
