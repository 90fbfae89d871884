"""The relevance model as an artifact: feature blocks and a booster, saved to and loaded from a folder."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kadr.embeddings import Rows
from kadr.errors import ModelError
from kadr.features import BLOCKS, Images, Texts, build_features
from kadr.features.blocks import choose_blocks
from kadr.model.lightgbm import Scores, predict

if TYPE_CHECKING:
    import lightgbm as lgb

MODEL = "model.txt"
DESCRIPTION = "model.json"


@dataclass(frozen=True)
class RelevanceModel:
    """Predicts the relevance 0..1 of any (photo, text).

    Attributes:
        blocks: names of the feature blocks, in their order.
        features: names of the features that the booster was trained on.
        booster: the trees.
    """

    blocks: list[str]
    features: list[str]
    booster: "lgb.Booster"

    def predict(self, images: Images, texts: Texts, image_rows: Rows, text_rows: Rows) -> Scores:
        """Relevance of n pairs (photo `image_rows[i]`, text `text_rows[i]`): (n,) float64 in 0..1.

        Raises:
            ModelError: the encoders are not those that the model was trained on.
        """
        matrix = build_features(choose_blocks(self.blocks, BLOCKS), images, texts, image_rows, text_rows)
        if matrix.names != self.features:
            raise ModelError(
                f"the photos and texts have {len(matrix.names)} features, the model has {len(self.features)}: "
                "embed them with the encoders of the training (params.yaml), or run `dvc repro train`"
            )
        return predict(self.booster, matrix.values)

    def importance(self) -> dict[str, float]:
        """Share of the total gain of all splits that each feature block has; they sum to 1 (or all are 0)."""
        gains = dict.fromkeys(self.blocks, 0.0)
        for name, gain in zip(self.features, self.booster.feature_importance("gain"), strict=True):
            gains[name.split(":", 1)[0]] += float(gain)
        total = sum(gains.values())
        return {block: gain / total if total else 0.0 for block, gain in gains.items()}

    def save(self, folder: Path) -> None:
        """Write the model into `folder`; the same model gives the same bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        self.booster.save_model(folder / MODEL)
        description = {"blocks": self.blocks, "features": self.features}
        (folder / DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "RelevanceModel":
        """Read what `save` wrote. Raises ModelError where it is missing or damaged."""
        import lightgbm as lgb

        try:
            description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
            booster = lgb.Booster(model_file=folder / MODEL)
        except (OSError, ValueError, lgb.basic.LightGBMError) as error:
            raise ModelError(
                f"{folder}: no readable relevance model ({error}); make one with `dvc repro train`"
            ) from error
        return cls(description["blocks"], description["features"], booster)
