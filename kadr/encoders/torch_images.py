"""The image encoders' common ground in torch: uint8 photos in, prepared and run on every device there is."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from kadr.encoders.base import Identity, ImageEncoder, Pixels, unit
from kadr.encoders.preprocessing import Preparation, decodes_jpegs
from kadr.encoders.torch_models import cores, devices, dtype_of, fold_batch_norms
from kadr.io.embeddings import Vectors
from kadr.io.image_decoding import DETAIL, is_plain_jpeg
from kadr.io.storage import Location

if TYPE_CHECKING:
    import torch

_CPU_WORKERS = 8
_GPU_WORKERS = 2  # for each GPU: one copies, decodes and writes while the other computes

OURS = {"jpeg_scaled_to": f"{DETAIL}x", "resized_as": "uint8 tensor"}
"""What our decoding and resizing add to an encoder's preprocessing."""


@dataclass(frozen=True)
class _Place:
    """Where one batch is encoded: a model on a device, and on a GPU a stream of its own."""

    model: Any
    device: str
    stream: Any


class TorchImageEncoder(ImageEncoder):
    """A torch module with its preprocessing.

    On a GPU, JPEGs that are upright and no larger than needed are decoded and resized there (by nvJPEG); all others are
    decoded by PIL.

    Attributes:
        takes_jpegs: whether `read` leaves JPEGs to the device.

    Args:
        model: in evaluation mode, in fp32.
        method: of the model, that gives a photo's features.
        preparation: the model's own.
        identity: what the vectors depend on.
        dim: numbers in a vector.
    """

    def __init__(
        self, model: "torch.nn.Module", method: str, preparation: Preparation, identity: Identity, dim: int
    ) -> None:
        self._method, self._preparation = method, preparation
        self._dtype = dtype_of(identity.precision)
        self.identity, self.dim, self.side = identity, dim, preparation.side
        on = devices()
        self.takes_jpegs = on != ["cpu"] and preparation.on_tensors and all(map(decodes_jpegs, on))
        self.workers = min(_CPU_WORKERS, cores()) if on == ["cpu"] else _GPU_WORKERS * len(on)
        self._threads = max(1, cores() // self.workers)
        self._free: SimpleQueue[_Place] = SimpleQueue()
        model = fold_batch_norms(model, method, self._noise())
        replicas = [(self._placed(model, device, copy=n > 0), device) for n, device in enumerate(on)]
        for n in range(self.workers):
            self._free.put(_place(*replicas[n % len(replicas)]))

    def read(self, content: bytes, path: Location) -> Pixels:
        """One photo: (3, height, width) uint8, or the bytes of a JPEG (size,) that the GPU decodes."""
        if self.takes_jpegs and is_plain_jpeg(content, self.side):
            return np.frombuffer(bytearray(content), np.uint8)
        return super().read(content, path)

    def prepare(self, image: Image.Image) -> Pixels:
        """The model's own preprocessing of one RGB photo, short of the normalisation: (3, height, width) uint8."""
        return self._preparation.resized(image)

    def encode(self, photos: Sequence[Pixels]) -> Vectors:
        """Photos, as `read` and `prepare` give them, to (n, d) float32, unit norm, on whichever device is free.

        Raises:
            UndecodableError: where the GPU does not decode one of the JPEGs.
        """
        import torch

        place = self._free.get()
        try:
            with torch.inference_mode(), torch.cuda.stream(place.stream):
                pixels = self._preparation.normalised(self._pixels(photos, place.device), self._dtype)
                features = getattr(place.model, self._method)(pixels).float().cpu().numpy()
        finally:
            self._free.put(place)
        return unit(features, self.identity.encoder)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Share the CPU's cores among the workers, until the end of the block."""
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def _pixels(self, photos: Sequence[Pixels], device: str) -> "torch.Tensor":
        """Photos on the device: (n, 3, height, width) uint8; those still in JPEG are decoded there."""
        import torch

        jpegs = [row for row, photo in enumerate(photos) if photo.ndim == 1]
        ready = [row for row, photo in enumerate(photos) if photo.ndim != 1]
        parts = []
        if jpegs:
            parts.append(self._preparation.decoded([photos[row] for row in jpegs], device))
        if ready:
            parts.append(_sent([photos[row] for row in ready], device))
        if len(parts) == 1:
            return parts[0]
        return torch.cat(parts)[torch.tensor(np.argsort(jpegs + ready), device=device)]

    def _noise(self) -> "torch.Tensor":
        """Made pixels as the model takes them: (1, 3, height, width) float32."""
        import torch

        noise = np.random.default_rng(0).integers(256, size=(self._preparation.side,) * 2 + (3,), dtype=np.uint8)
        pixels = torch.from_numpy(self._preparation.resized(Image.fromarray(noise)))
        return self._preparation.normalised(pixels[None], torch.float32)

    def _placed(self, model: "torch.nn.Module", device: str, *, copy: bool) -> Any:
        import torch

        replica: Any = deepcopy(model) if copy else model
        return replica.to(device, self._dtype, memory_format=torch.channels_last)


def _place(model: Any, device: str) -> _Place:
    import torch

    return _Place(model, device, torch.cuda.Stream(device) if device.startswith("cuda") else None)  # type: ignore[no-untyped-call]


def _sent(photos: Sequence[Pixels], device: str) -> "torch.Tensor":
    """Prepared photos stacked on the device, with their channels side by side; to a GPU they go from pinned memory."""
    import torch

    on_gpu = device.startswith("cuda")
    channels, height, width = photos[0].shape
    stacked = torch.empty((len(photos), height, width, channels), dtype=torch.uint8, pin_memory=on_gpu)
    np.stack([photo.transpose(1, 2, 0) for photo in photos], out=stacked.numpy())
    return stacked.permute(0, 3, 1, 2).to(device, non_blocking=on_gpu)
