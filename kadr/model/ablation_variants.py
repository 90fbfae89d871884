"""Variants of the relevance model for the ablation table. Each variant removes or replaces one component."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from kadr.aggregate import methods_without_raters
from kadr.errors import ParamsError
from kadr.model.training_settings import SOURCES, TrainingSettings
from kadr.params import Objective


@dataclass(frozen=True)
class Variant:
    """One row of the ablation table.

    Attributes:
        name: description of the change, e.g. `without cosine`.
        settings: training settings of the variant.
        predictions: name of a baseline that is identical to the variant, or None if the `train` stage trains no such
            baseline. The predictions that the `train` stage wrote for the baseline are used, and the variant is not
            trained again.
    """

    name: str
    settings: TrainingSettings
    predictions: str | None = None


def _modality_variants(settings: TrainingSettings) -> Iterator[Variant]:
    """Yield variants that use the text vectors, the image vectors or both as features."""
    concat = settings.with_train(features=["concat"])
    yield Variant("text alone", replace(concat, image_encoders=()))
    yield Variant("photo alone", replace(concat, text_encoders=()))
    is_trained = "concat" in settings.train.baselines
    yield Variant("text and photo", concat, predictions="concat" if is_trained else None)


def _encoder_variants(settings: TrainingSettings) -> Iterator[Variant]:
    """Yield variants that omit one encoder. Each variant keeps at least one image encoder and one text encoder."""
    for name in dict.fromkeys([*settings.image_encoders, *settings.text_encoders]):
        images = tuple(encoder for encoder in settings.image_encoders if encoder != name)
        texts = tuple(encoder for encoder in settings.text_encoders if encoder != name)
        if images and texts:
            yield Variant(f"without {name}", replace(settings, image_encoders=images, text_encoders=texts))


def _block_variants(settings: TrainingSettings) -> Iterator[Variant]:
    """Yield variants that omit one feature block. Each variant keeps at least one block."""
    for name in settings.train.features:
        if remaining := [block for block in settings.train.features if block != name]:
            yield Variant(f"without {name}", settings.with_train(features=remaining))


def _aggregation_variants(settings: TrainingSettings) -> Iterator[Variant]:
    """Yield variants that are trained on the relevance scores of another aggregation method."""
    for name in methods_without_raters():
        if name != settings.aggregate.expert:
            aggregate = settings.aggregate.model_copy(update={"expert": name})
            yield Variant(f"relevance by {name}", replace(settings, aggregate=aggregate))


def _objective_variants(settings: TrainingSettings) -> Iterator[Variant]:
    """Yield variants that use another LightGBM objective."""
    for name in get_args(Objective):
        if name != settings.train.objective:
            yield Variant(f"trees by {name}", settings.with_train(objective=name))


def _source_variants(settings: TrainingSettings) -> Iterator[Variant]:
    """Yield variants that are trained on the ratings of a single source."""
    for source in SOURCES:
        yield Variant(f"{source} ratings alone", replace(settings, sources=(source,)))


GROUPS: Mapping[str, Callable[[TrainingSettings], Iterator[Variant]]] = {
    "modality": _modality_variants,
    "encoders": _encoder_variants,
    "blocks": _block_variants,
    "aggregates": _aggregation_variants,
    "objectives": _objective_variants,
    "sources": _source_variants,
}
"""Maps each group name in `ablate.rows` to the function that yields the variants of the group."""


def select_variants(settings: TrainingSettings, groups: Sequence[str]) -> list[tuple[str, Variant]]:
    """Return the group and the variant of each row of the ablation table.

    Args:
        settings: training settings of the relevance model.
        groups: value of `ablate.rows`.

    Raises:
        ParamsError: a group is unknown.
    """
    for group in groups:
        if group not in GROUPS:
            raise ParamsError(f"ablate.rows: unknown group {group!r}. Expected one of {', '.join(GROUPS)}.")
    return [(group, variant) for group in groups for variant in GROUPS[group](settings)]
