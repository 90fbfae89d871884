"""Features of earlier layers of a CNN, appended to its last features.

The last layer is specialised in the classes that the model was trained on, earlier layers are more general (Yosinski et
al. 2014, and hypercolumns, Hariharan et al. 2015). The forward pass computes all layers in any case.
"""

import threading
from collections.abc import Sequence
from typing import Any

from kadr.errors import EncoderError


def append_layer_features(model: Any, names: Sequence[str], input_size: Sequence[int]) -> tuple[Any, int]:
    """Wrap a CNN so that it also returns the mean feature maps of the named blocks.

    Each part of the vector is scaled to unit norm, so that all parts weigh equally.

    Args:
        model: torch module from images (n, 3, height, width) to features (n, d).
        names: names of blocks that return feature maps (n, channels, height, width).
        input_size: (3, height, width) of an image.

    Returns:
        The wrapped model, and the length of its vectors.

    Raises:
        EncoderError: a name is unknown or repeated, or the block does not return feature maps.
    """
    import torch
    from torch.nn.functional import normalize

    if len(set(names)) != len(names):
        raise EncoderError(f"layers: {', '.join(names)} repeats a block. Name each block once.")
    maps = threading.local()  # threads may share the model

    class ModelWithLayers(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            features = self.model(images)
            layers = [maps.__dict__.pop(name).mean(dim=(2, 3)) for name in names]
            return torch.cat([normalize(part.float()) for part in (features, *layers)], dim=1)

    for name in names:
        _get_block(model, name).register_forward_hook(
            lambda _, __, output, name=name: maps.__dict__.update({name: output})
        )
    image = torch.zeros(1, *input_size)
    with torch.inference_mode():
        dim = int(model(image).shape[1])
        dim += sum(_count_channels(name, maps.__dict__.pop(name, None), image) for name in names)
    return ModelWithLayers().eval(), dim


def _get_block(model: Any, name: str) -> Any:
    """Return a block with several layers. Batch normalisations are excluded, because they are folded away later."""
    import torch

    modules = dict(model.named_modules())
    norms = tuple(f"{key}." for key, module in modules.items() if isinstance(module, torch.nn.BatchNorm2d))
    blocks = {
        key: module
        for key, module in modules.items()
        if key and any(module.children()) and not f"{key}.".startswith(norms)
    }
    if name not in blocks:
        known = ", ".join(key for key in blocks if key.count(".") < 2)
        raise EncoderError(f"layers: the model has no block {name!r}, expected names such as {known}.")
    return blocks[name]


def _count_channels(name: str, output: Any, image: Any) -> int:
    """Return the number of feature maps of a block, which must have the aspect ratio of the image."""
    shape = tuple(getattr(output, "shape", ()))
    height, width = image.shape[2:]
    if len(shape) != 4 or abs(shape[2] * width - shape[3] * height) > max(height, width):
        raise EncoderError(
            f"layers: {name} returns {shape} for one image, expected maps (1, channels, height, width). "
            "Name another block."
        )
    return int(shape[1])
