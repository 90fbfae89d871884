"""The relevance model as an artifact: feature blocks and a booster, saved to and loaded from a folder."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from kadr.errors import ModelError
from kadr.features import BLOCKS, Block, Captioned, FeatureMatrix, Images, Texts, build_features
from kadr.features.blocks import choose_blocks
from kadr.io.embeddings import Rows
from kadr.io.storage import sha256
from kadr.model.lightgbm import Scores, predict

if TYPE_CHECKING:
    import lightgbm as lgb

MODEL = "model.txt"
DESCRIPTION = "model.json"
CAPTIONED = "captioned"


@dataclass(frozen=True)
class FeatureBlocks:
    """The blocks that a model looks at.

    Attributes:
        names: of the blocks, in the order of their columns.
        captioned: the fitted corpus behind the block of that name; None where it is not among them.
    """

    names: Sequence[str]
    captioned: Captioned | None

    def prepare(self, images: Images) -> dict[str, npt.NDArray[Any]]:
        """What the blocks need of the photos alone; kept in `Images.prepared`, it makes a later `build` quick."""
        return self.captioned.prepare(images) if self.captioned else {}

    def build(self, images: Images, texts: Texts, image_rows: Rows, text_rows: Rows) -> FeatureMatrix:
        """The feature matrix of n pairs (photo `image_rows[i]`, text `text_rows[i]`)."""
        known: Mapping[str, Block] = BLOCKS | ({CAPTIONED: self.captioned.features} if self.captioned else {})
        return build_features(choose_blocks(self.names, known), images, texts, image_rows, text_rows)


@dataclass(frozen=True)
class RelevanceModel:
    """Predicts the relevance 0..1 of any (photo, text).

    Attributes:
        blocks: what it looks at.
        features: names of the features that the booster was trained on.
        booster: the trees.
        key: of the captioned corpus that it was saved with, the same where `FeatureBlocks.prepare` gives the same.
    """

    blocks: FeatureBlocks
    features: list[str]
    booster: "lgb.Booster"
    key: str = ""

    def prepare(self, images: Images) -> dict[str, npt.NDArray[Any]]:
        """What a prediction needs of the photos alone, each (n_images, ...): `Images.prepared` of later predictions."""
        return self.blocks.prepare(images)

    def predict(self, images: Images, texts: Texts, image_rows: Rows, text_rows: Rows) -> Scores:
        """Relevance of n pairs (photo `image_rows[i]`, text `text_rows[i]`): (n,) float64 in 0..1.

        Raises:
            ModelError: the encoders are not those that the model was trained on.
        """
        matrix = self.blocks.build(images, texts, image_rows, text_rows)
        if matrix.names != self.features:
            raise ModelError(
                f"the photos and texts have {len(matrix.names)} features, the model has {len(self.features)}: "
                "embed them with the encoders of the training (params.yaml), or run `dvc repro train`"
            )
        return predict(self.booster, matrix.values)

    def importance(self) -> dict[str, float]:
        """Share of the total gain of all splits that each feature block has; they sum to 1 (or all are 0)."""
        gains = dict.fromkeys(self.blocks.names, 0.0)
        for name, gain in zip(self.features, self.booster.feature_importance("gain"), strict=True):
            gains[name.split(":", 1)[0]] += float(gain)
        total = sum(gains.values())
        return {block: gain / total if total else 0.0 for block, gain in gains.items()}

    def save(self, folder: Path) -> None:
        """Write the model into `folder`; the same model gives the same bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MODEL).write_text(self.booster.model_to_string(), encoding="utf-8")
        if self.blocks.captioned:
            self.blocks.captioned.save(folder / CAPTIONED)
        description = {"blocks": list(self.blocks.names), "features": self.features, "sha256": _digests(folder)}
        (folder / DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "RelevanceModel":
        """Read what `save` wrote. Raises ModelError where it is missing or damaged."""
        import lightgbm as lgb

        try:
            description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
            digests = _digests(folder)
            if description.get("sha256", digests) != digests:  # LightGBM ends the whole process at half a file of trees
                raise ValueError("its files are damaged: not those that were written")
            booster = lgb.Booster(model_file=folder / MODEL)
        except (OSError, ValueError, AttributeError, lgb.basic.LightGBMError) as error:
            raise ModelError(f"{folder}: no readable relevance model ({error}); run `dvc repro train`") from error
        captioned = Captioned.load(folder / CAPTIONED) if CAPTIONED in description["blocks"] else None
        blocks = FeatureBlocks(description["blocks"], captioned)
        return cls(blocks, description["features"], booster, digests[CAPTIONED])


def _digests(folder: Path) -> dict[str, str]:
    """The sha256 of the trees, and of the captioned corpus, "" where there is none."""
    corpus = [sha256(path) for path in sorted((folder / CAPTIONED).glob("*"))]
    key = hashlib.sha256("".join(corpus).encode()).hexdigest() if corpus else ""
    return {MODEL: sha256(folder / MODEL), CAPTIONED: key}
