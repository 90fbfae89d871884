"""Drawing photos into files, in two processes where there are many."""

import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kadr.sample.drawing import draw_photo, expose
from kadr.sample.split_images import Photo

_QUALITIES = (74, 93)
_AGAIN_GAIN, _AGAIN_QUALITY = 1.05, 70
_WORTH_A_POOL = 200
_CHUNK = 24


@dataclass(frozen=True)
class Picture:
    """A photo and the file that it is drawn into.

    Attributes:
        photo: What it shows.
        path: The JPEG file.
        again: Save it somewhat brighter and at a lower quality than the lot says.
    """

    photo: Photo
    path: Path
    again: bool = False


def draw_pictures(pictures: Sequence[Picture], n_processes: int, on_progress: Callable[[int], None]) -> None:
    """Draw every picture; the bytes do not depend on `n_processes`.

    Args:
        pictures: What to draw, and where; the folders exist.
        n_processes: How many processes draw at once when there are enough pictures.
        on_progress: Told how many more are drawn.
    """
    if n_processes == 1 or len(pictures) < _WORTH_A_POOL:
        _count(map(draw_picture, pictures), on_progress)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_processes, mp_context=context) as pool:
        _count(pool.map(draw_picture, pictures, chunksize=_CHUNK), on_progress)


def draw_picture(picture: Picture) -> None:
    """Draw one photo into its file."""
    rng = np.random.default_rng(picture.photo.picture_seed)
    image = draw_photo(picture.photo.scene, rng)
    quality = int(rng.integers(*_QUALITIES))
    if picture.again:
        image, quality = expose(image, _AGAIN_GAIN), _AGAIN_QUALITY
    image.save(picture.path, "JPEG", quality=quality)


def _count(drawn: Iterable[None], on_progress: Callable[[int], None]) -> None:
    for _ in drawn:
        on_progress(1)
