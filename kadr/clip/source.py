"""Download, copy or train a CLIP model, and write the model to a folder."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from PIL import Image

from kadr.clip.caption_pairs import read_caption_pairs
from kadr.clip.checkpoint import copy_checkpoint, has_weights, save_checkpoint
from kadr.clip.rated_pairs import read_clip_rated_pairs
from kadr.clip.training import lock_towers, train
from kadr.encoders.open_clip_models import explain_load_errors, load_clip, read_config, silence_logging
from kadr.encoders.weights import LOCAL_DIR
from kadr.io.image_decoding import DEFAULT_LIMITS
from kadr.io.versions import publish_folder
from kadr.params import ClipParams, DecodingParams

if TYPE_CHECKING:
    import torch

ClipMetrics = dict[str, object]


@dataclass(frozen=True)
class ClipTables:
    """Tables with the training data for `clip.source: train`.

    Attributes:
        corpus: captioned images, in the schema IMAGES.
        captions: captions of the images, in the schema CAPTIONS.
        rated: rated pairs, in the schema CLIP_PAIRS. If the table is empty, the model is trained only on captions.
        decoding: settings with which the images are decoded.
    """

    corpus: pa.Table
    captions: pa.Table
    rated: pa.Table
    decoding: DecodingParams = DEFAULT_LIMITS


def build_clip(params: ClipParams, seed: int, tables: ClipTables, folder: Path) -> ClipMetrics:
    """Download, copy or train a CLIP model, and write it to a folder as an open_clip checkpoint.

    Args:
        params: section `clip` of params.yaml.
        seed: random seed for training.
        tables: training data, which are used only by `clip.source: train`.
        folder: folder to write the checkpoint to.

    Returns:
        Metrics, which contain the source of the model. The metrics of a downloaded model also contain its name and tag.
        The metrics of a trained model also contain the fields of `TrainingResult`.

    Raises:
        EncoderError: the CLIP model cannot be found or loaded.
        InputError: the training data are missing or cannot be read.
    """
    return {"source": params.source, **_SOURCES[params.source](params, seed, tables, folder)}


def _from_hub(params: ClipParams, seed: int, tables: ClipTables, folder: Path) -> ClipMetrics:
    import open_clip

    name = str(params.model)
    model = load_clip(name, params.pretrained)
    with explain_load_errors(name), silence_logging():
        tokenizer = open_clip.get_tokenizer(name)
        config = open_clip.get_model_config(name)
    save_checkpoint(model, config, tokenizer, folder)
    return {"model": name, "pretrained": params.pretrained}


def _from_folder(params: ClipParams, seed: int, tables: ClipTables, folder: Path) -> ClipMetrics:
    copy_checkpoint(Path(params.init), folder)
    return {}


def _by_training(params: ClipParams, seed: int, tables: ClipTables, folder: Path) -> ClipMetrics:
    import open_clip
    import torch

    name, init = f"{LOCAL_DIR}{params.init}", Path(params.init)
    config = read_config(init)["model_cfg"]
    torch.manual_seed(seed)
    model = load_clip(name, None, weights=has_weights(init))
    with explain_load_errors(name), silence_logging():
        tokenizer = open_clip.get_tokenizer(name)
    resize = _resize_function(model)
    pairs = read_caption_pairs(tables.corpus, tables.captions, resize, tokenizer, tables.decoding)
    rated = read_clip_rated_pairs(tables.rated, resize, tokenizer, tables.decoding)
    lock_towers(model, params)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    result = train(model.to(device), pairs, rated, params, seed, from_scratch=not has_weights(init))
    save_checkpoint(model, config, tokenizer, folder)
    return asdict(result)


def _without_model(params: ClipParams, seed: int, tables: ClipTables, folder: Path) -> ClipMetrics:
    """Write a folder without a model, because DVC requires the output of the stage."""
    with publish_folder(folder) as partial:
        (partial / "README.md").write_text("`clip.source` is none, so there is no CLIP model.\n", encoding="utf-8")
    return {}


def _resize_function(model: Any) -> "Callable[[Image.Image], torch.Tensor]":
    """Return a function that applies the model's image preprocessing without the normalisation."""
    from open_clip.transform import PreprocessCfg, image_transform_v2

    settings = {**model.visual.preprocess_cfg, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    transform: Callable[[Image.Image], torch.Tensor] = image_transform_v2(PreprocessCfg(**settings), is_train=False)
    return transform


_SOURCES: dict[str, Callable[[ClipParams, int, ClipTables, Path], ClipMetrics]] = {
    "hub": _from_hub,
    "local": _from_folder,
    "train": _by_training,
    "none": _without_model,
}
