"""The relevance model, which consists of feature blocks and a LightGBM booster."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from kadr.errors import ModelError
from kadr.features import BLOCKS, Block, CaptionFeatures, FeatureMatrix, Images, Texts, build_features
from kadr.features.blocks import select_blocks
from kadr.features.caption_neighbours import CAPTION_NEIGHBOURS, caption_neighbours, prepare_images
from kadr.io.embeddings import Rows
from kadr.io.storage import sha256
from kadr.model.lightgbm import Scores, predict

if TYPE_CHECKING:
    import lightgbm as lgb

BOOSTER_FILE = "model.txt"
DESCRIPTION_FILE = "model.json"
BLOCK_NAMES = (*BLOCKS, CAPTION_NEIGHBOURS)
"""Names of all blocks that `train.features` can contain."""


@dataclass(frozen=True)
class FeatureBlocks:
    """The feature blocks of a model.

    Attributes:
        names: block names, in the order of their columns in the feature matrix.
        caption_features: fitted models of the block `caption_neighbours`. None if the model does not use the block.
    """

    names: Sequence[str]
    caption_features: CaptionFeatures | None

    def prepare(self, images: Images) -> dict[str, npt.NDArray[Any]]:
        """Compute the arrays of the feature blocks that depend only on the images.

        `build` uses these arrays if they are stored in `Images.prepared`, and computes them otherwise.

        Returns:
            Arrays of shape (n_images, ...), by array name.

        Raises:
            ModelError: the image vectors come from different encoders than the vectors used for training.
        """
        return prepare_images(self.caption_features, images) if self.caption_features else {}

    def build(self, images: Images, texts: Texts, image_rows: Rows, text_rows: Rows) -> FeatureMatrix:
        """Compute the feature matrix of n pairs.

        Args:
            images: images of the pairs.
            texts: texts of the pairs.
            image_rows: (n_pairs,) index of each pair's image in `images`.
            text_rows: (n_pairs,) index of each pair's text in `texts`.

        Raises:
            ParamsError: a block name is unknown, outdated or listed twice.
            ModelError: the image vectors come from different encoders than the vectors used for training.
        """
        fitted: dict[str, Block] = (
            {CAPTION_NEIGHBOURS: partial(caption_neighbours, self.caption_features)} if self.caption_features else {}
        )
        return build_features(select_blocks(self.names, BLOCKS | fitted), images, texts, image_rows, text_rows)


@dataclass(frozen=True)
class RelevanceModel:
    """Predict the relevance of image-text pairs, from 0 to 1.

    Attributes:
        blocks: feature blocks that compute the feature matrix.
        features: names of the features that the booster was trained on.
        booster: trained trees.
        key: digest of the caption features. Models with the same key return the same arrays from `prepare`.
    """

    blocks: FeatureBlocks
    features: list[str]
    booster: "lgb.Booster"
    key: str = ""

    def prepare(self, images: Images) -> dict[str, npt.NDArray[Any]]:
        """Compute the arrays for `Images.prepared`, which make later calls to `predict` faster.

        Returns:
            Arrays of shape (n_images, ...), by array name.

        Raises:
            ModelError: the image vectors come from different encoders than the vectors used for training.
        """
        return self.blocks.prepare(images)

    def predict(self, images: Images, texts: Texts, image_rows: Rows, text_rows: Rows) -> Scores:
        """Predict the relevance of n pairs.

        Args:
            images: images of the pairs.
            texts: texts of the pairs.
            image_rows: (n_pairs,) index of each pair's image in `images`.
            text_rows: (n_pairs,) index of each pair's text in `texts`.

        Returns:
            (n_pairs,) float64 in 0..1.

        Raises:
            ModelError: the vectors come from different encoders than the vectors used for training.
        """
        matrix = self.blocks.build(images, texts, image_rows, text_rows)
        if matrix.names != self.features:
            raise ModelError(
                f"The features of the images and texts ({len(matrix.names)} features) differ from the features of the "
                f"training data ({len(self.features)} features). Embed the images and texts with the encoders that "
                "were used for training, or run `dvc repro train` to train a new model."
            )
        return predict(self.booster, matrix.values)

    def importance(self) -> dict[str, float]:
        """Return the share of each feature block in the total gain of all tree splits.

        Returns:
            Share of each block, by block name. The shares sum to 1, or all shares are 0.
        """
        gains = dict.fromkeys(self.blocks.names, 0.0)
        for name, gain in zip(self.features, self.booster.feature_importance("gain"), strict=True):
            gains[name.split(":", 1)[0]] += float(gain)
        total = sum(gains.values())
        return {block: gain / total if total else 0.0 for block, gain in gains.items()}

    def save(self, folder: Path) -> None:
        """Write the model to a folder. Identical models are saved as identical files."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / BOOSTER_FILE).write_text(self.booster.model_to_string(), encoding="utf-8")
        if self.blocks.caption_features:
            self.blocks.caption_features.save(folder / CAPTION_NEIGHBOURS)
        description = {"blocks": list(self.blocks.names), "features": self.features, "sha256": _digests(folder)}
        (folder / DESCRIPTION_FILE).write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "RelevanceModel":
        """Load a model from a folder that `save` wrote.

        Raises:
            ModelError: a file is missing or damaged, or was written by another version of kadr.
        """
        import lightgbm as lgb

        try:
            description = json.loads((folder / DESCRIPTION_FILE).read_text(encoding="utf-8"))
            _check_version(description["blocks"], folder)
            digests = _digests(folder)
            # Check the digests before loading, because LightGBM terminates the process if the file is truncated.
            if description.get("sha256", digests) != digests:
                raise ValueError("a file is damaged: its checksum differs from the checksum in model.json")
            booster = lgb.Booster(model_file=folder / BOOSTER_FILE)
        except (OSError, KeyError, ValueError, AttributeError, lgb.basic.LightGBMError) as error:
            raise ModelError(f"{folder}: cannot read the relevance model ({error}). Run `dvc repro train`.") from error
        names = description["blocks"]
        fitted = CaptionFeatures.load(folder / CAPTION_NEIGHBOURS) if CAPTION_NEIGHBOURS in names else None
        return cls(FeatureBlocks(names, fitted), description["features"], booster, digests[CAPTION_NEIGHBOURS])


def _check_version(blocks: Sequence[str], folder: Path) -> None:
    """Raise ModelError if the model uses a feature block that does not exist in this version of kadr."""
    if unknown := [name for name in blocks if name not in BLOCK_NAMES]:
        raise ModelError(
            f"{folder}: the relevance model uses the feature block {', '.join(unknown)}, which does not "
            "exist in this version of kadr. Run `dvc repro train` to train a new model."
        )


def _digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 digests of the trees and the caption features.

    The second digest is an empty string if the model does not use caption features.
    """
    files = [sha256(path) for path in sorted((folder / CAPTION_NEIGHBOURS).glob("*"))]
    key = hashlib.sha256("".join(files).encode()).hexdigest() if files else ""
    return {BOOSTER_FILE: sha256(folder / BOOSTER_FILE), CAPTION_NEIGHBOURS: key}
