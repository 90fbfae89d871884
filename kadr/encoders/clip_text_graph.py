"""Build the ONNX graph of the text tower of a CLIP model (Radford et al. 2021, section 2.4)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import onnx

OPSET, IR_VERSION = 23, 10  # the first operator set with attention

_KNOWN_SETTINGS = {"context_length", "vocab_size", "width", "heads", "layers"}
_OTHER_SETTINGS = {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "init_logit_scale", "init_logit_bias"}


def has_plain_text_tower(config: Mapping[str, Any]) -> bool:
    """Return whether `make_text_graph` supports the text tower of an architecture.

    Args:
        config: open_clip configuration of the architecture.
    """
    return set(config) <= _OTHER_SETTINGS and set(config["text_cfg"]) <= _KNOWN_SETTINGS


def make_text_graph(model: Any) -> "onnx.ModelProto":
    """Return the text tower of a CLIP model as an ONNX graph in fp32.

    The input `tokens` has the shape (n_texts, length) and the type int64. A length below the context length is
    permitted, because the tower is causal. The output `features` has the shape (n_texts, d).

    Args:
        model: CLIP model of open_clip, with fp32 weights on the CPU. `has_plain_text_tower` is true for its
            configuration.
    """
    from onnx import TensorProto, helper

    graph = _Graph({name: tensor.numpy() for name, tensor in model.state_dict().items() if "visual." not in name})
    x = graph.embed()
    for n, block in enumerate(model.transformer.resblocks):
        x = graph.transform(x, f"transformer.resblocks.{n}", block)
    x = graph.normalise(x, "ln_final", model.ln_final.eps)
    end = graph.add("ArgMax", "tokens", axis=1, keepdims=1)  # the end token has the highest number
    pooled = graph.add("GatherND", x, end, batch_dims=1)
    graph.add("MatMul", pooled, graph.weight("text_projection"), output="features")
    return helper.make_model(
        helper.make_graph(
            graph.nodes,
            "text_tower",
            [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["n_texts", "length"])],
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n_texts", model.text_projection.shape[1]])],
            graph.initializers,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )


class _Graph:
    """Nodes and weights of a graph. Each method adds nodes, and returns the name of their output.

    Args:
        weights: name of each tensor of the model -> tensor.
    """

    def __init__(self, weights: Mapping[str, npt.NDArray[Any]]) -> None:
        self._weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add one node."""
        from onnx import helper

        output = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, name: str, values: Any) -> str:
        """Add an array."""
        from onnx import numpy_helper

        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def weight(self, name: str) -> str:
        """Add a tensor of the model."""
        return self.constant(name, self._weights[name])

    def linear(self, x: str, weight: str, bias: str) -> str:
        """Multiply by a weight of shape (n_out, n_in), and add a bias."""
        product = self.add("MatMul", x, self.constant(weight, self._weights[weight].T))
        return self.add("Add", product, self.weight(bias))

    def normalise(self, x: str, layer: str, epsilon: float) -> str:
        """Apply a layer normalisation."""
        weights = self.weight(f"{layer}.weight"), self.weight(f"{layer}.bias")
        return self.add("LayerNormalization", x, *weights, axis=-1, epsilon=epsilon)

    def embed(self) -> str:
        """Add the embeddings of the tokens and of their positions."""
        end = self.add("Shape", "tokens", start=1, end=2)
        positions = self.add("Slice", self.weight("positional_embedding"), self.constant("start", [0]), end)
        return self.add("Add", self.add("Gather", self.weight("token_embedding.weight"), "tokens"), positions)

    def transform(self, x: str, name: str, block: Any) -> str:
        """Apply one residual block: attention and a multilayer perceptron."""
        from onnx import helper

        projected = self.linear(
            self.normalise(x, f"{name}.ln_1", block.ln_1.eps),
            f"{name}.attn.in_proj_weight",
            f"{name}.attn.in_proj_bias",
        )
        parts = [f"{name}.{part}" for part in ("query", "key", "value")]
        self.nodes.append(helper.make_node("Split", [projected], parts, axis=-1, num_outputs=3))
        heads = block.attn.num_heads
        attended = self.add("Attention", *parts, is_causal=1, q_num_heads=heads, kv_num_heads=heads)
        x = self.add("Add", x, self.linear(attended, f"{name}.attn.out_proj.weight", f"{name}.attn.out_proj.bias"))
        normalised = self.normalise(x, f"{name}.ln_2", block.ln_2.eps)
        hidden = self.linear(normalised, f"{name}.mlp.c_fc.weight", f"{name}.mlp.c_fc.bias")
        activated = self._activate(hidden, name, is_quick=type(block.mlp.gelu).__name__ == "QuickGELU")
        return self.add("Add", x, self.linear(activated, f"{name}.mlp.c_proj.weight", f"{name}.mlp.c_proj.bias"))

    def _activate(self, x: str, name: str, *, is_quick: bool) -> str:
        if not is_quick:
            return self.add("Gelu", x)
        scaled = self.add("Mul", x, self.constant(f"{name}.slope", np.float32(1.702)))
        return self.add("Mul", x, self.add("Sigmoid", scaled))
