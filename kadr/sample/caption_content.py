"""Randomly choose the objects, attributes and relations that a caption describes."""

import numpy as np

from kadr.sample.scene_graph import SceneGraph, SceneObject, relation_holds
from kadr.sample.scene_vocabulary import RELATIONS, Relation
from kadr.sample.true_relevance import CaptionMeaning, ObjectMention


def describe_fully(scene: SceneGraph, rng: np.random.Generator) -> CaptionMeaning:
    """Return the meaning of a caption that mentions the main objects and their colours.

    The caption also mentions the relation between the objects, the background or both. Some captions mention a third
    object.
    """
    objects = scene.objects
    if len(objects) == 1:
        mention = _mention(objects[0], rng, colour=1, size=0.3, position=0.4)
        return CaptionMeaning((mention,), None, scene.background)
    n_mentions = len(objects) if rng.random() < 0.35 else 2
    relation = _choose_relation(objects[0], objects[1], rng)
    n_mentions = 3 if relation is None and len(objects) == 3 else n_mentions
    mentions = tuple(_mention(scene_object, rng, colour=1, size=0.25) for scene_object in objects[:n_mentions])
    background = scene.background if relation is None or rng.random() < 0.7 else None
    return CaptionMeaning(mentions, relation, background)


def describe_partly(scene: SceneGraph, rng: np.random.Generator) -> CaptionMeaning:
    """Return the meaning of a caption that mentions one or two objects and some of their attributes."""
    order = rng.permutation(len(scene.objects))
    background = scene.background if rng.random() < 0.5 else None
    first = scene.objects[int(order[0])]
    if len(order) == 1 or rng.random() < 0.45:
        mention = _mention(first, rng, colour=0.85, size=0.35, position=0.25)
        return CaptionMeaning((mention,), None, background)
    second = scene.objects[int(order[1])]
    relation = _choose_relation(first, second, rng) if rng.random() < 0.75 else None
    mentions = (_mention(first, rng, colour=0.6, size=0.2), _mention(second, rng, colour=0.6, size=0.2))
    return CaptionMeaning(mentions, relation, background)


def _mention(
    scene_object: SceneObject, rng: np.random.Generator, colour: float, size: float, position: float = 0
) -> ObjectMention:
    """Return a mention of an object. The colour, size and position are each included with the given probability."""
    draws = rng.random(3)
    return ObjectMention(
        scene_object.category,
        scene_object.colour if draws[0] < colour else None,
        scene_object.size if draws[1] < size else None,
        scene_object.position if draws[2] < position else None,
    )


def _choose_relation(subject: SceneObject, target: SceneObject, rng: np.random.Generator) -> Relation | None:
    """Choose a relation that holds between the objects, or return None if no relation holds.

    The last such relation in `RELATIONS` is the most likely choice.
    """
    valid = [relation for relation in RELATIONS if relation_holds(relation, subject, target)]
    if not valid:
        return None
    return valid[-1] if rng.random() < 0.7 else valid[int(rng.integers(len(valid)))]
