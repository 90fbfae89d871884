"""The encoders' inner layers: what a CNN made of a photo before its last features.

The last features know best what the model was trained to tell apart, earlier ones more of all else (Yosinski et al.
2014; hypercolumns, Hariharan et al. 2015). Every photo passes them anyway, so they take no time in the model.
"""

import threading
from collections.abc import Sequence
from typing import Any

from kadr.errors import EncoderError


def with_layers(model: Any, names: Sequence[str], input_size: Sequence[int]) -> tuple[Any, int]:
    """A model that gives the features of `model` and, beside them, the mean of each named module's maps over the photo.

    Each part is of unit length, so that all have the same say.

    Args:
        model: a torch module, photos (n, 3, height, width) to features (n, d).
        names: of blocks that give maps (n, channels, height, width).
        input_size: (3, height, width) of a photo.

    Returns:
        The model and how many numbers it gives of a photo.

    Raises:
        EncoderError: a name is no block's or comes twice, or the block gives no maps.
    """
    import torch
    from torch.nn.functional import normalize

    if len(set(names)) != len(names):
        raise EncoderError(f"layers: a block is named twice in {', '.join(names)}; name each once")
    maps = threading.local()  # of this thread's photos: threads may share the model

    class WithLayers(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, photos: torch.Tensor) -> torch.Tensor:
            features = self.model(photos)
            inner = [maps.__dict__.pop(name).mean(dim=(2, 3)) for name in names]
            return torch.cat([normalize(part.float()) for part in (features, *inner)], dim=1)

    for name in names:
        _block(model, name).register_forward_hook(lambda _, __, output, name=name: maps.__dict__.update({name: output}))
    photo = torch.zeros(1, *input_size)
    with torch.inference_mode():
        dim = int(model(photo).shape[1])
        dim += sum(_channels(name, maps.__dict__.pop(name, None), photo) for name in names)
    return WithLayers().eval(), dim


def _block(model: Any, name: str) -> Any:
    """The block of this name: more than one layer, and none of a batch normalisation, as those are folded away."""
    import torch

    modules = dict(model.named_modules())
    norms = tuple(f"{of}." for of, module in modules.items() if isinstance(module, torch.nn.BatchNorm2d))
    blocks = {of: one for of, one in modules.items() if of and any(one.children()) and not f"{of}.".startswith(norms)}
    if name not in blocks:
        known = ", ".join(of for of in blocks if of.count(".") < 2)
        raise EncoderError(f"layers: got {name!r}, wanted blocks of the model, such as {known}")
    return blocks[name]


def _channels(name: str, given: Any, photo: Any) -> int:
    """How many maps a block gives. Raises EncoderError unless they are of the photo's shape."""
    shape = tuple(getattr(given, "shape", ()))
    height, width = photo.shape[2:]
    if len(shape) != 4 or abs(shape[2] * width - shape[3] * height) > max(height, width):
        raise EncoderError(
            f"layers: {name} gives {shape} of a photo, wanted maps (1, channels, height, width); name another block"
        )
    return int(shape[1])
