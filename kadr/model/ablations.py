"""What a training is without one of its parts, or with another in its place: the rows of the table of ablations."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from kadr.errors import ParamsError
from kadr.params import Objective, Params

SOURCES = ("expert", "crowd")
AGGREGATES = ("graded_response", "mean", "median", "majority")  # those that want no raters


@dataclass(frozen=True)
class Variant:
    """One row.

    Attributes:
        name: what is changed.
        params: the settings, changed.
        sources: whose ratings are learned from.
        predictions: the baseline of stage train that this is, and whose scores need no training; None for none.
    """

    name: str
    params: Params
    sources: Sequence[str] = SOURCES
    predictions: str | None = None


def _modality(params: Params) -> Iterator[Variant]:
    """The vectors alone, of texts, of photos and of both: does it take both to say how well they fit?"""
    concat = _changed(params, "train", features=["concat"])
    yield Variant("text alone", _changed(concat, "embed_images", encoders={}))
    yield Variant("photo alone", _changed(concat, "embed_texts", encoders={}))
    yield Variant("text and photo", concat, predictions="concat")


def _encoders(params: Params) -> Iterator[Variant]:
    """Without each encoder, where both sides keep one."""
    images, texts = params.embed_images.encoders, params.embed_texts.encoders
    for name in dict.fromkeys([*images, *texts]):
        kept = [{key: entry for key, entry in side.items() if key != name} for side in (images, texts)]
        if all(kept):
            without = _changed(_changed(params, "embed_images", encoders=kept[0]), "embed_texts", encoders=kept[1])
            yield Variant(f"without {name}", without)


def _blocks(params: Params) -> Iterator[Variant]:
    """Without each block of features, where one is left."""
    for name in params.train.features:
        kept = [other for other in params.train.features if other != name]
        if kept:
            yield Variant(f"without {name}", _changed(params, "train", features=kept))


def _aggregates(params: Params) -> Iterator[Variant]:
    """The relevance by every other way to aggregate ratings."""
    for name in AGGREGATES:
        if name != params.aggregate.expert:
            yield Variant(f"relevance by {name}", _changed(params, "aggregate", expert=name))


def _objectives(params: Params) -> Iterator[Variant]:
    """Trees that minimise every other loss."""
    for name in get_args(Objective):
        if name != params.train.objective:
            yield Variant(f"trees by {name}", _changed(params, "train", objective=name))


def _sources(params: Params) -> Iterator[Variant]:
    """Ratings of the experts alone, and of the crowd alone."""
    for source in SOURCES:
        yield Variant(f"{source} ratings alone", params, (source,))


GROUPS: Mapping[str, Callable[[Params], Iterator[Variant]]] = {
    "modality": _modality,
    "encoders": _encoders,
    "blocks": _blocks,
    "aggregates": _aggregates,
    "objectives": _objectives,
    "sources": _sources,
}
"""Group of `ablate.rows` -> its variants of a training."""


def choose_variants(params: Params) -> Iterator[tuple[str, Variant]]:
    """Every variant of `ablate.rows`, with its group. Raises ParamsError for a group that is unknown."""
    for group in params.ablate.rows:
        if group not in GROUPS:
            raise ParamsError(f"ablate.rows: unknown group {group!r}; the groups are {', '.join(GROUPS)}")
        for variant in GROUPS[group](params):
            yield group, variant


def _changed(params: Params, section: str, **values: object) -> Params:
    """The params with values of one section changed. They are not validated: a variant may have no photo encoder."""
    return params.model_copy(update={section: getattr(params, section).model_copy(update=values)})
