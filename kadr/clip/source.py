"""The clip part's front: the CLIP of the run put into a folder, wherever it comes from."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from PIL import Image

from kadr.clip.caption_pairs import read_pairs
from kadr.clip.checkpoint import copy_clip, has_weights, save_clip
from kadr.clip.rated_pairs import read_rated
from kadr.clip.training import lock_towers, train
from kadr.encoders.open_clip_models import LOCAL, load_clip, loading, quiet, read_config
from kadr.params import ClipParams

if TYPE_CHECKING:
    import torch

Figures = dict[str, object]


@dataclass(frozen=True)
class Tables:
    """What source train learns from.

    Attributes:
        corpus: an IMAGES table of captioned photos.
        captions: a CAPTIONS table.
        rated: a CLIP_PAIRS table; empty where the CLIP learns from captions alone.
    """

    corpus: pa.Table
    captions: pa.Table
    rated: pa.Table


def obtain_clip(params: ClipParams, seed: int, tables: Tables, folder: Path) -> Figures:
    """Put the CLIP that `params` ask for into `folder`, in open_clip's local-dir layout.

    Args:
        params: the section `clip`.
        seed: of the training.
        tables: for source train only.
        folder: where the CLIP goes.

    Returns:
        The source, and for train its figures: loss, rating_loss (null without ratings), n_photos, n_held_out,
        recall_at_1 and recall_at_5 of the held-out.

    Raises:
        EncoderError: where the CLIP cannot be found or loaded.
        InputError: where there is nothing to train on.
    """
    return {"source": params.source, **_SOURCES[params.source](params, seed, tables, folder)}


def _from_hub(params: ClipParams, seed: int, tables: Tables, folder: Path) -> Figures:
    import open_clip

    name = str(params.model)
    model = load_clip(name, params.pretrained)
    with loading(name), quiet():
        tokenizer = open_clip.get_tokenizer(name)
        config = open_clip.get_model_config(name)
    save_clip(model, config, tokenizer, folder)
    return {"model": name, "pretrained": params.pretrained}


def _from_folder(params: ClipParams, seed: int, tables: Tables, folder: Path) -> Figures:
    copy_clip(Path(params.init), folder)
    return {}


def _by_training(params: ClipParams, seed: int, tables: Tables, folder: Path) -> Figures:
    import open_clip
    import torch

    name, init = f"{LOCAL}{params.init}", Path(params.init)
    config = read_config(init)["model_cfg"]
    torch.manual_seed(seed)
    model = load_clip(name, None, weights=has_weights(init))
    with loading(name), quiet():
        tokenizer = open_clip.get_tokenizer(name)
    resize = _resize(model)
    pairs = read_pairs(tables.corpus, tables.captions, resize, tokenizer)
    rated = read_rated(tables.rated, resize, tokenizer)
    lock_towers(model, params)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    trained = train(model.to(device), pairs, rated, params, seed, fresh=not has_weights(init))
    save_clip(model, config, tokenizer, folder)
    return asdict(trained)


def _resize(model: Any) -> "Callable[[Image.Image], torch.Tensor]":
    """What prepares a photo as the model wants it, short of the mean and the standard deviation."""
    from open_clip.transform import PreprocessCfg, image_transform_v2

    settings = {**model.visual.preprocess_cfg, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    transform: Callable[[Image.Image], torch.Tensor] = image_transform_v2(PreprocessCfg(**settings), is_train=False)
    return transform


_SOURCES: dict[str, Callable[[ClipParams, int, Tables, Path], Figures]] = {
    "hub": _from_hub,
    "local": _from_folder,
    "train": _by_training,
}
