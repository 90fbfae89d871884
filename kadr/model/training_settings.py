"""Settings for training the relevance model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kadr.params import AggregateParams, Params, TrainParams

SOURCES = ("expert", "crowd")
"""Names of the rating sources."""


@dataclass(frozen=True)
class TrainingSettings:
    """Settings that affect the trained relevance model.

    Attributes:
        image_encoders: names of the image encoders.
        text_encoders: names of the text encoders.
        aggregate: settings for the aggregation of ratings.
        train: settings for the features, folds and trees.
        sources: names of the rating sources that the model is trained on.
    """

    image_encoders: tuple[str, ...]
    text_encoders: tuple[str, ...]
    aggregate: AggregateParams
    train: TrainParams
    sources: Sequence[str] = SOURCES

    @classmethod
    def from_params(cls, params: Params) -> "TrainingSettings":
        """Return the training settings in params.yaml."""
        image_encoders, text_encoders = params.embed_images.encoders, params.embed_texts.encoders
        return cls(tuple(image_encoders), tuple(text_encoders), params.aggregate, params.train)

    @property
    def feature_settings(self) -> tuple[Sequence[str], ...]:
        """Settings that determine the feature matrix: feature blocks, image encoders and text encoders."""
        return self.train.features, self.image_encoders, self.text_encoders

    def with_train(self, **values: object) -> "TrainingSettings":
        """Return a copy with the given values in the `train` section. The values are not validated."""
        return replace(self, train=self.train.model_copy(update=values))
