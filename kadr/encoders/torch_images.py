"""Base class for torch image encoders, which encode batches of uint8 images on all available devices."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from kadr.encoders.base import Identity, ImageEncoder, Pixels, to_unit_norm
from kadr.encoders.preprocessing import Preprocessing, can_decode_jpegs
from kadr.encoders.torch_models import available_cores, fold_batch_norms, torch_devices, torch_dtype
from kadr.io.embeddings import Vectors
from kadr.io.image_decoding import JPEG_OVERSAMPLING, is_plain_jpeg
from kadr.io.storage import Location

if TYPE_CHECKING:
    import torch

_CPU_WORKERS = 8
_GPU_WORKERS = 2  # per GPU, so that one worker can copy, decode and write while the other worker computes

DECODING_SETTINGS = {"jpeg_scaled_to": f"{JPEG_OVERSAMPLING}x", "resized_as": "uint8 tensor"}
"""Settings for decoding and resizing images. They are part of the identity of an encoder."""


@dataclass(frozen=True)
class _Replica:
    """The model, the device and the CUDA stream that one worker uses. On a CPU, the stream is None."""

    model: Any
    device: str
    stream: Any


class TorchImageEncoder(ImageEncoder):
    """Image encoder that runs a torch module.

    If a GPU is available, the GPU decodes and resizes upright JPEGs of ordinary size with nvJPEG. PIL decodes images
    that the GPU does not support.

    Attributes:
        decodes_on_device: whether `encode` decodes JPEGs on the device. If False, `preprocess_bytes` decodes all
            images.

    Args:
        model: torch module in evaluation mode, with fp32 weights.
        method: name of the method of `model` that maps images to features.
        preprocessing: preprocessing of the model.
        identity: identity of the encoder.
        dim: length of each vector.
    """

    def __init__(
        self, model: "torch.nn.Module", method: str, preprocessing: Preprocessing, identity: Identity, dim: int
    ) -> None:
        self._method, self._preprocessing = method, preprocessing
        self._dtype = torch_dtype(identity.precision)
        self.identity, self.dim, self.shorter_side = identity, dim, preprocessing.shorter_side
        devices = torch_devices()
        on_gpu = devices != ["cpu"]
        self.decodes_on_device = on_gpu and preprocessing.supports_tensors and all(map(can_decode_jpegs, devices))
        self.workers = _GPU_WORKERS * len(devices) if on_gpu else min(_CPU_WORKERS, available_cores())
        self._threads = max(1, available_cores() // self.workers)
        self._free: SimpleQueue[_Replica] = SimpleQueue()
        model = fold_batch_norms(model, method, self._random_image())
        copies = [(self._move(model, device, copy=n > 0), device) for n, device in enumerate(devices)]
        for n in range(self.workers):
            self._free.put(_replica(*copies[n % len(copies)]))

    def preprocess_bytes(self, content: bytes, path: Location) -> Pixels:
        """Decode one image file and preprocess it for `encode`.

        Args:
            content: bytes of the image file.
            path: path or URI of the file, shown in error messages.

        Returns:
            Pixels, (3, height, width) uint8. If the GPU will decode the image, the bytes of the file, (n_bytes,) uint8.

        Raises:
            UndecodableError: the image cannot be decoded.
        """
        if self.decodes_on_device and is_plain_jpeg(content, self.shorter_side, self.decoding):
            return np.frombuffer(bytearray(content), np.uint8)
        return super().preprocess_bytes(content, path)

    def preprocess(self, image: Image.Image) -> Pixels:
        """Resize one RGB image to (3, height, width) uint8. The method `encode` normalises the colours later."""
        return self._preprocessing.resize(image)

    def encode(self, images: Sequence[Pixels]) -> Vectors:
        """Encode preprocessed images on the next free device.

        Args:
            images: one or more arrays that `preprocess` or `preprocess_bytes` returned.

        Returns:
            Unit vectors, (n_images, d) float32.

        Raises:
            UndecodableError: the GPU cannot decode one of the JPEGs.
        """
        import torch

        replica = self._free.get()
        try:
            with torch.inference_mode(), torch.cuda.stream(replica.stream):
                pixels = self._preprocessing.normalise(self._stack(images, replica.device), self._dtype)
                features = getattr(replica.model, self._method)(pixels).float().cpu().numpy()
        finally:
            self._free.put(replica)
        return to_unit_norm(features, self.identity.encoder)

    @contextmanager
    def share_cores(self) -> Iterator[None]:
        """Divide the CPU cores among the workers while the context is active."""
        import torch

        previous = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            yield
        finally:
            torch.set_num_threads(previous)

    def _stack(self, images: Sequence[Pixels], device: str) -> "torch.Tensor":
        """Copy images to the device, decode JPEGs there, and return a tensor (n_images, 3, height, width) uint8."""
        import torch

        jpegs = [row for row, image in enumerate(images) if image.ndim == 1]
        decoded = [row for row, image in enumerate(images) if image.ndim != 1]
        parts = []
        if jpegs:
            parts.append(self._preprocessing.decode_jpegs([images[row] for row in jpegs], device))
        if decoded:
            parts.append(_copy_to_device([images[row] for row in decoded], device))
        if len(parts) == 1:
            return parts[0]
        return torch.cat(parts)[torch.tensor(np.argsort(jpegs + decoded), device=device)]

    def _random_image(self) -> "torch.Tensor":
        """Return an image of random pixels, preprocessed for the model: (1, 3, height, width) float32."""
        import torch

        shape = (self._preprocessing.shorter_side,) * 2 + (3,)
        noise = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
        pixels = torch.from_numpy(self._preprocessing.resize(Image.fromarray(noise)))
        return self._preprocessing.normalise(pixels[None], torch.float32)

    def _move(self, model: "torch.nn.Module", device: str, *, copy: bool) -> Any:
        import torch

        replica: Any = deepcopy(model) if copy else model
        return replica.to(device, self._dtype, memory_format=torch.channels_last)


def _replica(model: Any, device: str) -> _Replica:
    import torch

    return _Replica(model, device, torch.cuda.Stream(device) if device.startswith("cuda") else None)  # type: ignore[no-untyped-call]


def _copy_to_device(images: Sequence[Pixels], device: str) -> "torch.Tensor":
    """Stack resized images in the channels_last format, and copy them to a device. Pinned memory is used for GPUs."""
    import torch

    on_gpu = device.startswith("cuda")
    channels, height, width = images[0].shape
    stacked = torch.empty((len(images), height, width, channels), dtype=torch.uint8, pin_memory=on_gpu)
    np.stack([image.transpose(1, 2, 0) for image in images], out=stacked.numpy())
    return stacked.permute(0, 3, 1, 2).to(device, non_blocking=on_gpu)
