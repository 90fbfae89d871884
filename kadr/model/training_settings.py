"""The settings that determine a training of the relevance model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kadr.params import AggregateParams, Params, TrainParams

SOURCES = ("expert", "crowd")
"""Sources of ratings."""


@dataclass(frozen=True)
class TrainingSettings:
    """The settings that determine a training.

    Attributes:
        image_encoders: names of the image encoders.
        text_encoders: names of the text encoders.
        aggregate: aggregation of ratings.
        train: features, folds and trees.
        sources: rating sources that the model is trained on.
    """

    image_encoders: tuple[str, ...]
    text_encoders: tuple[str, ...]
    aggregate: AggregateParams
    train: TrainParams
    sources: Sequence[str] = SOURCES

    @classmethod
    def from_params(cls, params: Params) -> "TrainingSettings":
        """Return the settings in params.yaml."""
        image_encoders, text_encoders = params.embed_images.encoders, params.embed_texts.encoders
        return cls(tuple(image_encoders), tuple(text_encoders), params.aggregate, params.train)

    @property
    def feature_settings(self) -> tuple[Sequence[str], ...]:
        """The settings that determine the feature matrix: blocks and encoders."""
        return self.train.features, self.image_encoders, self.text_encoders

    def with_train(self, **values: object) -> "TrainingSettings":
        """Return the settings with other values in section `train`. The values are not validated."""
        return replace(self, train=self.train.model_copy(update=values))
