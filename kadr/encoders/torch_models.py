"""Select the device and precision of torch models, speed up loading and the forward pass, and hash the weights."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from kadr.errors import EncoderError
from kadr.params import Precision

if TYPE_CHECKING:
    import torch

_RANDOM_FILLS = {
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
}
_ROUNDING = 1e-4  # maximum relative change of a vector due to a different order of additions


def torch_device() -> str:
    """Return `cuda` if torch can use a GPU, otherwise `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def torch_devices() -> list[str]:
    """Return all GPUs that torch can use, or the CPU if there is no GPU."""
    import torch

    return [f"cuda:{n}" for n in range(torch.cuda.device_count())] if torch.cuda.is_available() else ["cpu"]


def available_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resolve_precision(requested: Precision, device: str, model: "torch.nn.Module") -> str:
    """Return the number format for the forward pass of a model: fp32, bf16 or fp16.

    On GPUs with tensor cores, `auto` selects fp16, which has three more mantissa bits than bf16. On CPUs with bf16
    instructions, `auto` selects bf16 for models without batch normalisation. With batch normalisation, bf16 is not
    accurate enough: it changes the vectors of a MobileNetV2 by a cosine distance of 0.005, which is ten times the
    permitted distance. In all other cases, `auto` selects fp32.

    Args:
        requested: precision from the settings.
        device: torch device.
        model: model to run.

    Raises:
        EncoderError: fp16 is requested on a CPU, which does not support all operations in fp16.
    """
    import torch

    if requested == "fp16" and device == "cpu":
        raise EncoderError("precision: fp16 needs a GPU, but no GPU is available. Set precision to auto, bf16 or fp32.")
    if requested != "auto":
        return requested
    if device == "cuda":
        return "fp16" if _gpus_have_tensor_cores() else "fp32"
    batch_norm = any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in model.modules())
    return "bf16" if _cpu_has_bf16() and not batch_norm else "fp32"


def _gpus_have_tensor_cores() -> bool:
    """Return whether all GPUs have tensor cores. GPUs without tensor cores may be slower in fp16 than in fp32."""
    import torch

    return all(torch.cuda.get_device_capability(n) >= (7, 0) for n in range(torch.cuda.device_count()))


def _cpu_has_bf16() -> bool:
    import torch

    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def torch_dtype(precision: str) -> "torch.dtype":
    """Return the torch dtype for fp32, bf16 or fp16."""
    import torch

    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


@contextmanager
def skip_random_weights() -> Iterator[None]:
    """Skip the random initialisation of modules that are built in the `with` block.

    Initialising a ViT-B-32 takes two thirds of the CPU time of loading it. All weights must be loaded in the `with`
    block or after it.
    """
    from torch.overrides import TorchFunctionMode

    class SkipRandomWeights(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if getattr(function, "__name__", None) in _RANDOM_FILLS:
                return args[0] if args else kwargs["tensor"]
            return function(*args, **(kwargs or {}))

    with SkipRandomWeights():
        yield


def store_weights_column_major(model: "torch.nn.Module") -> "torch.nn.Module":
    """Store the weights of linear layers in column-major order, which speeds up the encoding of a single text."""
    import torch

    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.weight.data = layer.weight.data.t().contiguous().t()
    return model


def fold_batch_norms(model: "torch.nn.Module", method: str, images: "torch.Tensor") -> "torch.nn.Module":
    """Fold each batch normalisation into the preceding convolution (Jacob et al. 2018, section 3.2).

    In evaluation mode, a convolution and a batch normalisation are both linear, so one convolution can replace the two
    layers. Folding reduces the computing time of a MobileNetV2 by a quarter. One forward pass finds the pairs of
    layers, and a second forward pass checks the folded model.

    Args:
        model: torch module on the CPU, in evaluation mode and with fp32 weights.
        method: name of the method of `model` that maps images to features.
        images: images for the forward passes, (n_images, 3, height, width) float32. The content does not matter.

    Returns:
        A folded copy of the model. If nothing can be folded, or if folding changes the features, the original model.
    """
    import torch
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    if not any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules()):
        return model
    folded = deepcopy(model)
    with torch.no_grad():
        expected, pairs = _find_norms_after_convolutions(folded, method, images)
        names = {module: name for name, module in folded.named_modules()}
        for norm, convolution in pairs.items():
            fused = fuse_conv_bn_eval(convolution, norm)
            convolution.weight, convolution.bias = fused.weight, fused.bias
            # The batch normalisations of timm also contain the activation function.
            folded.set_submodule(names[norm], getattr(norm, "act", torch.nn.Identity()))
        difference = (getattr(folded, method)(images) - expected).norm()
    return folded if difference <= _ROUNDING * expected.norm() else model


def _find_norms_after_convolutions(
    model: "torch.nn.Module", method: str, images: "torch.Tensor"
) -> tuple[Any, dict[Any, Any]]:
    """Return the features of the images, and a dict from batch normalisations to the preceding convolutions."""
    import torch

    outputs: dict[int, tuple[Any, Any]] = {}  # keeps the tensors alive, so that no ID is reused
    pairs: dict[Any, Any] = {}

    def record(module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        if isinstance(module, torch.nn.Conv2d):
            outputs[id(output)] = module, output
        elif isinstance(module, torch.nn.BatchNorm2d) and id(inputs[0]) in outputs:
            pairs[module] = outputs[id(inputs[0])][0]

    handles = [module.register_forward_hook(record) for module in model.modules()]
    features = getattr(model, method)(images)
    for handle in handles:
        handle.remove()
    return features, pairs


def weights_sha256(model: "torch.nn.Module") -> str:
    """Return the SHA-256 hash of the names, data types, shapes and bytes of all tensors of a model.

    The hash does not depend on the format of the weights file. Compute the hash before you convert the model to a lower
    precision.
    """
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
