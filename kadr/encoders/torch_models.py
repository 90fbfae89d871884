"""The encoders' common ground in torch: where a model runs, in which precision, and the hash of its weights."""

import hashlib
import os
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from kadr.errors import EncoderError
from kadr.params import Precision

if TYPE_CHECKING:
    import torch

_ROUNDING = 1e-4  # of a vector's length, by which the order of sums may change it


def device() -> str:
    """`cuda` where there is a GPU that torch can use, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def devices() -> list[str]:
    """Every GPU that torch can use, else the CPU."""
    import torch

    return [f"cuda:{n}" for n in range(torch.cuda.device_count())] if torch.cuda.is_available() else ["cpu"]


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resolve_precision(asked: Precision, on: str, model: "torch.nn.Module") -> str:
    """fp32, bf16 or fp16 for `model` on device `on`.

    auto takes fp16, which keeps three bits more than bf16, on GPUs with tensor cores, and bf16 on a CPU that multiplies
    it in hardware, unless the model has batch normalisation: bf16 moved the vectors of a MobileNetV2 by a cosine of
    0.005, where 0.0005 is what we allow.

    Raises:
        EncoderError: fp16 on a CPU, which lacks some of its operations and gains nothing.
    """
    import torch

    if asked == "fp16" and on == "cpu":
        raise EncoderError("precision: fp16 wants a GPU; on a CPU set precision: auto, bf16 or fp32")
    if asked != "auto":
        return asked
    if on == "cuda":
        return "fp16" if _gpus_multiply_fp16() else "fp32"
    batch_norm = any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in model.modules())
    return "bf16" if _cpu_multiplies_bf16() and not batch_norm else "fp32"


def _gpus_multiply_fp16() -> bool:
    """Whether every GPU has tensor cores; older ones may multiply fp16 far slower than fp32."""
    import torch

    return all(torch.cuda.get_device_capability(n) >= (7, 0) for n in range(torch.cuda.device_count()))


def _cpu_multiplies_bf16() -> bool:
    import torch

    abilities = torch.cpu.get_capabilities()
    return bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))


def dtype_of(precision: str) -> "torch.dtype":
    """The torch dtype of fp32, bf16 or fp16."""
    import torch

    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def columns_first(model: "torch.nn.Module") -> "torch.nn.Module":
    """The model, its linear layers' weights in memory as their product reads them: a tenth faster for one text."""
    import torch

    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.weight.data = layer.weight.data.t().contiguous().t()
    return model


def fold_batch_norms(model: "torch.nn.Module", method: str, photos: "torch.Tensor") -> "torch.nn.Module":
    """The model with each batch normalisation folded into the convolution before it (Jacob et al. 2018, section 3.2).

    Both are linear when a model is evaluated, so one convolution does what the two do, which saves a MobileNetV2 a
    quarter of its time. One forward pass tells which come one after the other.

    Args:
        model: in evaluation mode, in fp32, on the CPU.
        method: of the model, that gives the photos' features.
        photos: (n, 3, height, width) float32, of any content.

    Returns:
        A changed copy; the model itself where there is no such normalisation or the copy gives other features.
    """
    import torch
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    if not any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules()):
        return model
    folded = deepcopy(model)
    with torch.no_grad():
        wanted, pairs = _norms_after_convolutions(folded, method, photos)
        names = {module: name for name, module in folded.named_modules()}
        for norm, convolution in pairs.items():
            fused = fuse_conv_bn_eval(convolution, norm)
            convolution.weight, convolution.bias = fused.weight, fused.bias
            folded.set_submodule(names[norm], getattr(norm, "act", torch.nn.Identity()))  # timm's norms activate, too
        moved = (getattr(folded, method)(photos) - wanted).norm()
    return folded if moved <= _ROUNDING * wanted.norm() else model


def _norms_after_convolutions(
    model: "torch.nn.Module", method: str, photos: "torch.Tensor"
) -> tuple[Any, dict[Any, Any]]:
    """What a forward pass gives, and each batch normalisation whose input a convolution gave, with it."""
    import torch

    given: dict[int, tuple[Any, Any]] = {}  # with the tensor, which keeps its id its own
    pairs: dict[Any, Any] = {}

    def see(module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        if isinstance(module, torch.nn.Conv2d):
            given[id(output)] = module, output
        elif isinstance(module, torch.nn.BatchNorm2d) and id(inputs[0]) in given:
            pairs[module] = given[id(inputs[0])][0]

    handles = [module.register_forward_hook(see) for module in model.modules()]
    features = getattr(model, method)(photos)
    for handle in handles:
        handle.remove()
    return features, pairs


def weights_sha256(model: "torch.nn.Module") -> str:
    """sha256 over every tensor's name, type, shape and bytes: the same for the same weights in any file format.

    Taken before a conversion to a lower precision.
    """
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
