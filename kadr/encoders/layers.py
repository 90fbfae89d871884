"""The encoders' inner layers: what a CNN made of a photo before its last features.

The last features know best what the model was trained to tell apart, earlier ones more of all else (Yosinski et al.
2014; hypercolumns, Hariharan et al. 2015). They cost nothing, as every photo passes them anyway.
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
        names: of modules that give maps (n, channels, height, width).
        input_size: (3, height, width) of a photo.

    Returns:
        The model and how many numbers it gives of a photo.

    Raises:
        EncoderError: a name is none of the model's, or its module gives no maps.
    """
    import torch
    from torch.nn.functional import normalize

    maps = threading.local()  # of this thread's photos: threads may share the model

    class WithLayers(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, photos: torch.Tensor) -> torch.Tensor:
            parts = [self.model(photos), *(getattr(maps, name).mean(dim=(2, 3)) for name in names)]
            return torch.cat([normalize(part.float()) for part in parts], dim=1)

    for name in names:
        _named(model, name).register_forward_hook(lambda _, __, output, name=name: setattr(maps, name, output))
    whole = WithLayers().eval()
    with torch.inference_mode():
        model(torch.zeros(1, *input_size))
        for name in names:
            shape = tuple(getattr(maps, name).shape)
            if len(shape) != 4 or getattr(model, "output_fmt", "NCHW") != "NCHW":
                raise EncoderError(f"layers: {name} gives {shape} of a photo, wanted maps (1, channels, height, width)")
        return whole, int(whole(torch.zeros(1, *input_size)).shape[1])


def _named(model: Any, name: str) -> Any:
    """The module of this name. Batch normalisations are none, as they are folded into the convolutions before them."""
    import torch

    modules = {of: module for of, module in model.named_modules() if not isinstance(module, torch.nn.BatchNorm2d)}
    if name not in modules:
        blocks = [of for of, module in modules.items() if of and of.count(".") < 2 and any(module.children())]
        raise EncoderError(f"layers: got {name!r}, wanted blocks of the model, such as {', '.join(blocks)}")
    return modules[name]
