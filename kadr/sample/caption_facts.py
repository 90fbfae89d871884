"""Which facts of a scene a caption tells."""

import numpy as np

from kadr.sample.scene import Scene, Thing, holds
from kadr.sample.truth import Mention, Statement
from kadr.sample.vocabulary import RELATIONS, Relation


def tell_wholly(scene: Scene, rng: np.random.Generator) -> Statement:
    """The main things with colours, their relation or the background (often both), sometimes the third."""
    things = scene.things
    if len(things) == 1:
        return Statement((_mention(things[0], rng, colour=1, size=0.3, place=0.4),), None, scene.background)
    told = len(things) if rng.random() < 0.35 else 2
    relation = _relation(things[0], things[1], rng)
    told = 3 if relation is None and len(things) == 3 else told
    mentions = tuple(_mention(thing, rng, colour=1, size=0.25) for thing in things[:told])
    place = scene.background if relation is None or rng.random() < 0.7 else None
    return Statement(mentions, relation, place)


def tell_partly(scene: Scene, rng: np.random.Generator) -> Statement:
    """Some of the things, with some of what is known of them."""
    order = rng.permutation(len(scene.things))
    background = scene.background if rng.random() < 0.5 else None
    one = scene.things[int(order[0])]
    if len(order) == 1 or rng.random() < 0.45:
        return Statement((_mention(one, rng, colour=0.85, size=0.35, place=0.25),), None, background)
    other = scene.things[int(order[1])]
    relation = _relation(one, other, rng) if rng.random() < 0.75 else None
    mentions = (_mention(one, rng, colour=0.6, size=0.2), _mention(other, rng, colour=0.6, size=0.2))
    return Statement(mentions, relation, background)


def _mention(thing: Thing, rng: np.random.Generator, colour: float, size: float, place: float = 0) -> Mention:
    tells = rng.random(3)
    return Mention(
        thing.kind,
        thing.colour if tells[0] < colour else None,
        thing.size if tells[1] < size else None,
        thing.place if tells[2] < place else None,
    )


def _relation(one: Thing, other: Thing, rng: np.random.Generator) -> Relation | None:
    """One of the relations that hold, the rarer words first."""
    true = [relation for relation in RELATIONS if holds(relation, one, other)]
    if not true:
        return None
    return true[-1] if rng.random() < 0.7 else true[int(rng.integers(len(true)))]
