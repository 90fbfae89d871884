"""The image encoders' common ground in torch: uint8 photos in, normalised and run on every device there is."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from kadr.embeddings import Vectors
from kadr.encoders.base import Identity, ImageEncoder, Pixels, unit
from kadr.encoders.torch_models import cores, devices, dtype_of
from kadr.photos import DETAIL

if TYPE_CHECKING:
    import torch

_CPU_WORKERS = 8
_GPU_WORKERS = 2  # for each GPU: one copies and writes while the other computes

SCALED = {"jpeg_scaled_to": f"{DETAIL}x"}
"""What the reader's scaled decoding adds to an encoder's preprocessing."""


@dataclass(frozen=True)
class Preparation:
    """How a photo becomes the model's input.

    Attributes:
        steps: from an RGB photo to one of the model's size, each applied to what the one before gives.
        mean: of the colours, 0..1, which the model wants subtracted.
        std: by which it wants them divided then.
        side: pixels of the shorter side of what `steps` make before they crop.
    """

    steps: Sequence[Callable[[Any], Any]]
    mean: Sequence[float]
    std: Sequence[float]
    side: int


class TorchImageEncoder(ImageEncoder):
    """A torch module with its preprocessing.

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
        self.workers = min(_CPU_WORKERS, cores()) if on == ["cpu"] else _GPU_WORKERS * len(on)
        self._threads = max(1, cores() // self.workers)
        self._free: SimpleQueue[tuple[Any, str]] = SimpleQueue()
        replicas = [(self._placed(model, device, copy=n > 0), device) for n, device in enumerate(on)]
        for n in range(self.workers):
            self._free.put(replicas[n % len(replicas)])

    def prepare(self, image: Image.Image) -> Pixels:
        """The model's own preprocessing of one RGB photo, short of the normalisation: (3, height, width) uint8."""
        for step in self._preparation.steps:
            image = step(image)
        return np.asarray(image).transpose(2, 0, 1)

    def encode(self, pixels: Pixels) -> Vectors:
        """(n, 3, height, width) uint8 to (n, d) float32, unit norm, on whichever device is free."""
        import torch

        model, device = self._free.get()
        try:
            with torch.inference_mode():
                photos = self._normalised(torch.from_numpy(pixels), device)
                features = getattr(model, self._method)(photos).float().cpu().numpy()
        finally:
            self._free.put((model, device))
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

    def _normalised(self, photos: "torch.Tensor", device: str) -> "torch.Tensor":
        """uint8 photos on the device, as the model wants their colours; a GPU is given bytes, from pinned memory."""
        import torch

        if device.startswith("cuda"):
            photos = photos.pin_memory().to(device, non_blocking=True)
        colours = (self._preparation.mean, self._preparation.std)
        mean, std = (torch.tensor(values, device=device).view(1, -1, 1, 1) for values in colours)
        shares = photos.contiguous(memory_format=torch.channels_last).float().div_(255)
        return shares.sub_(mean).div_(std).to(self._dtype)

    def _placed(self, model: "torch.nn.Module", device: str, *, copy: bool) -> Any:
        import torch

        replica: Any = deepcopy(model) if copy else model
        return replica.to(device, self._dtype, memory_format=torch.channels_last)
