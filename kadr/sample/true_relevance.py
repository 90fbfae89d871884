"""The meaning of a caption, and the true relevance of a caption to a scene."""

from dataclasses import dataclass
from itertools import permutations

from kadr.sample.scene_graph import SceneGraph, SceneObject, relation_holds
from kadr.sample.scene_vocabulary import Position, Relation, Size, similarity

_CATEGORY_WEIGHT, _COLOUR_WEIGHT, _SIZE_WEIGHT, _POSITION_WEIGHT = 0.55, 0.30, 0.10, 0.12
_RELATION_WEIGHT, _BACKGROUND_WEIGHT = 0.45, 0.35


@dataclass(frozen=True)
class ObjectMention:
    """One object that a caption mentions. Attributes that the caption omits are None."""

    category: str
    colour: str | None = None
    size: Size | None = None
    position: Position | None = None


@dataclass(frozen=True)
class CaptionMeaning:
    """The meaning of a caption.

    Attributes:
        mentions: Objects that the caption mentions.
        relation: Spatial relation of the first mentioned object to the second mentioned object, or None if the caption
            mentions no relation.
        background: Background that the caption mentions, or None if the caption mentions no background.
    """

    mentions: tuple[ObjectMention, ...]
    relation: Relation | None = None
    background: str | None = None


def true_relevance(meaning: CaptionMeaning, scene: SceneGraph) -> float:
    """Return the relevance of a caption to a scene.

    Each mentioned object is matched with a different object in the scene, so that the score is as high as possible.
    The category has the largest weight, followed by the relation, the background, the colour, the position and the
    size. Objects in the scene that the caption omits do not lower the relevance.

    Args:
        meaning: Meaning of the caption.
        scene: Scene of the image.

    Returns:
        The relevance, 0 (no part of the caption is correct) to 1 (the whole caption is correct).
    """
    candidates: tuple[SceneObject | None, ...] = scene.objects + (None,) * len(meaning.mentions)
    weight = float(len(meaning.mentions))
    weight += _RELATION_WEIGHT * (meaning.relation is not None)
    weight += _BACKGROUND_WEIGHT * (meaning.background is not None)
    score = max(_assignment_score(meaning, objects) for objects in permutations(candidates, len(meaning.mentions)))
    if meaning.background is not None:
        score += _BACKGROUND_WEIGHT * similarity(meaning.background, scene.background)
    return round(score / weight, 6)


def _assignment_score(meaning: CaptionMeaning, objects: tuple[SceneObject | None, ...]) -> float:
    scores = [_mention_score(mention, candidate) for mention, candidate in zip(meaning.mentions, objects, strict=True)]
    total = sum(scores)
    if meaning.relation is not None:
        subject, target = objects[:2]
        first, second = meaning.mentions[:2]
        if subject and target and (subject.category, target.category) == (first.category, second.category):
            total += _RELATION_WEIGHT * relation_holds(meaning.relation, subject, target)
    return total


def _mention_score(mention: ObjectMention, candidate: SceneObject | None) -> float:
    """Return how well an object matches a mention, from 0 (unrelated category) to 1 (perfect match)."""
    if candidate is None:
        return 0.0
    category = similarity(mention.category, candidate.category)
    score, weight = _CATEGORY_WEIGHT, _CATEGORY_WEIGHT
    if mention.colour is not None:
        score += _COLOUR_WEIGHT * similarity(mention.colour, candidate.colour)
        weight += _COLOUR_WEIGHT
    if mention.size is not None:
        score, weight = score + _SIZE_WEIGHT * (mention.size == candidate.size), weight + _SIZE_WEIGHT
    if mention.position is not None:
        score += _POSITION_WEIGHT * (mention.position == candidate.position)
        weight += _POSITION_WEIGHT
    return category * score / weight
