"""Append the features of earlier CNN layers to the features of the last layer.

The last layer is specialised for the classes that the model was trained on. Earlier layers are more general (Yosinski
et al. 2014). Features of several layers of a CNN are also called hypercolumns (Hariharan et al. 2015). The features of
earlier layers take almost no extra time, because the forward pass computes all layers anyway.
"""

import threading
from collections.abc import Sequence
from typing import Any

from kadr.errors import EncoderError


def append_layer_features(model: Any, names: Sequence[str], input_size: Sequence[int]) -> tuple[Any, int]:
    """Wrap a CNN so that its output also contains the average-pooled feature maps of the named blocks.

    The features of the last layer and of each block are scaled to unit norm separately, so that all layers weigh
    equally.

    Args:
        model: torch module that maps images (n, 3, height, width) to features (n, d).
        names: names of blocks that return feature maps (n, channels, height, width).
        input_size: shape (3, height, width) of an input image.

    Returns:
        The wrapped model, and the length of its vectors.

    Raises:
        EncoderError: a name is unknown or repeated, or a block does not return feature maps.
    """
    import torch
    from torch.nn.functional import normalize

    if len(set(names)) != len(names):
        raise EncoderError(f"layers: {', '.join(names)} lists a block more than once. List each block only once.")
    maps = threading.local()  # several threads may share the model

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
    """Return a block of a model by name.

    A block is a module with submodules. The parts of a batch normalisation layer are not blocks, because
    `fold_batch_norms` removes batch normalisation layers.
    """
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
        raise EncoderError(f"layers: the model has no block {name!r}. Use the name of a block, such as {known}.")
    return blocks[name]


def _count_channels(name: str, output: Any, image: Any) -> int:
    """Return the number of feature maps of a block, and check that they have the aspect ratio of the image."""
    shape = tuple(getattr(output, "shape", ()))
    height, width = image.shape[2:]
    if len(shape) != 4 or abs(shape[2] * width - shape[3] * height) > max(height, width):
        raise EncoderError(
            f"layers: the output of {name} has the shape {shape}, expected (1, channels, height, width). "
            "Choose a block that returns feature maps with the aspect ratio of the image."
        )
    return int(shape[1])
