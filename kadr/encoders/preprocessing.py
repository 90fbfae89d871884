"""The image encoders' preparation of photos in torch: a library's own resizing and colours, on any device.

Resizing bytes as torch tensors costs a third of PIL's time and gives its pixels to within two of 255 levels; on a GPU
it is done in float32.
"""

import io
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from kadr.encoders.base import Pixels
from kadr.errors import UndecodableError

if TYPE_CHECKING:
    import torch

Step = Callable[[Any], Any]


class Preparation:
    """How a photo becomes the model's input.

    Args:
        steps: the library's own, from an RGB photo to one of the model's size, each applied to what the last one gives.
        mean: of the colours, 0..1, which the model wants subtracted.
        std: by which it wants them divided then.
        side: pixels of the shorter side of what `steps` make before they crop.
    """

    def __init__(self, steps: Iterable[Step], mean: Sequence[float], std: Sequence[float], side: int) -> None:
        self._steps = list(steps)
        self._tensor_steps = _on_tensors(self._steps)
        self._mean, self._std = mean, std
        self.side = side

    @property
    def on_tensors(self) -> bool:
        """Whether all steps can be done on tensors; else they are done by PIL, on the CPU."""
        return self._tensor_steps is not None

    def resized(self, image: Image.Image) -> Pixels:
        """One RGB photo in the model's size: (3, height, width) uint8."""
        from torchvision.transforms.v2.functional import pil_to_tensor

        if self._tensor_steps is not None:
            return self.cropped(pil_to_tensor(image)).numpy()
        for step in self._steps:
            image = step(image)
        return np.asarray(image).transpose(2, 0, 1)

    def decoded(self, jpegs: Sequence[Pixels], device: str) -> "torch.Tensor":
        """JPEGs, each as its bytes (size,), decoded and resized on a device: (n, 3, height, width) uint8.

        Raises:
            UndecodableError: where the device cannot decode all of them.
        """
        import torch

        try:
            photos = _decode(jpegs, device)
        except RuntimeError as error:
            message = f"{device} does not decode one of {len(jpegs)} JPEGs ({error})"
            raise UndecodableError(message, "unreadable") from error
        return torch.stack([self.cropped(photo) for photo in photos])

    def cropped(self, photo: "torch.Tensor") -> "torch.Tensor":
        """One photo (3, h, w), uint8 or of shares of 255, in the model's size."""
        for step in self._tensor_steps or ():
            photo = step(photo)
        return photo

    def normalised(self, photos: "torch.Tensor", dtype: "torch.dtype") -> "torch.Tensor":
        """(n, 3, height, width) uint8 as the model wants their colours, with a pixel's three side by side."""
        import torch

        n, channels, height, width = photos.shape
        mean, std = (torch.tensor(values, device=photos.device) * 255 for values in (self._mean, self._std))
        rows = photos.permute(0, 2, 3, 1).reshape(n, height, width * channels)  # wide: four times as fast on a CPU
        shares = rows.sub(mean.repeat(width)).div_(std.repeat(width)).to(dtype)
        return shares.view(n, height, width, channels).permute(0, 3, 1, 2)


def decodes_jpegs(device: str) -> bool:
    """Whether torchvision decodes JPEGs on `device`; on a GPU it may have been built without nvJPEG."""
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "JPEG")
    try:
        _decode([np.frombuffer(bytearray(file.getvalue()), np.uint8)], device)
    except RuntimeError:
        return False
    return True


def _decode(jpegs: Sequence[Pixels], device: str) -> "list[torch.Tensor]":
    """Photos (3, h, w) uint8 on `device`. Raises RuntimeError where one does not decode."""
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg

    return decode_jpeg([torch.from_numpy(jpeg) for jpeg in jpegs], ImageReadMode.RGB, device=device)  # type: ignore[no-any-return]


def _on_tensors(steps: Iterable[Step]) -> list[Step] | None:
    """Torchvision's Resize and CenterCrop for tensors; None where there is any other step."""
    from torchvision.transforms import CenterCrop, Resize
    from torchvision.transforms.v2 import functional

    done: list[Step] = []
    for step in steps:
        if isinstance(step, Resize):
            how = {"interpolation": step.interpolation, "max_size": step.max_size, "antialias": True}
            size = [step.size] if isinstance(step.size, int) else list(step.size)
            done.append(partial(functional.resize, size=size, **how))
        elif isinstance(step, CenterCrop):
            done.append(partial(functional.center_crop, output_size=list(step.size)))
        else:
            return None
    return done
