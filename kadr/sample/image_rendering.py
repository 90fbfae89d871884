"""Render the sample images as JPEG files. Large samples are rendered in several processes."""

import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kadr.sample.drawing import render_scene, scale_brightness
from kadr.sample.split_images import SampleImage

_JPEG_QUALITIES = (74, 93)
_DUPLICATE_BRIGHTNESS, _DUPLICATE_QUALITY = 1.05, 70
_MIN_POOL_IMAGES = 200
_CHUNK_SIZE = 24


@dataclass(frozen=True)
class RenderingTask:
    """An image to render and its output file.

    Attributes:
        image: Image to render.
        path: JPEG file to write.
        near_duplicate: Whether to brighten the image and use a lower JPEG quality.
    """

    image: SampleImage
    path: Path
    near_duplicate: bool = False


def render_images(tasks: Sequence[RenderingTask], n_processes: int, on_progress: Callable[[int], None]) -> None:
    """Render all images. The files do not depend on the number of processes.

    Args:
        tasks: Images and output files. The folders must exist.
        n_processes: Number of processes. If there are fewer than 200 images, the current process renders all images.
        on_progress: Callback that receives the number of images rendered since the last call.
    """
    if n_processes == 1 or len(tasks) < _MIN_POOL_IMAGES:
        _report_progress(map(render_image, tasks), on_progress)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_processes, mp_context=context) as pool:
        _report_progress(pool.map(render_image, tasks, chunksize=_CHUNK_SIZE), on_progress)


def render_image(task: RenderingTask) -> None:
    """Render one image and save it as a JPEG file."""
    rng = np.random.default_rng(task.image.rendering_seed)
    image = render_scene(task.image.scene, rng)
    quality = int(rng.integers(*_JPEG_QUALITIES))
    if task.near_duplicate:
        image, quality = scale_brightness(image, _DUPLICATE_BRIGHTNESS), _DUPLICATE_QUALITY
    image.save(task.path, "JPEG", quality=quality)


def _report_progress(results: Iterable[None], on_progress: Callable[[int], None]) -> None:
    for _ in results:
        on_progress(1)
