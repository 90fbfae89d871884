"""Composing scenes by lot: kinds, colours, places, so that every relation comes about."""

import numpy as np

from kadr.sample.scene import Scene, Thing
from kadr.sample.vocabulary import HIDDEN, KINDS, RELATIONS, SIZES, Relation, Size

_THING_COUNTS = (0.18, 0.52, 0.30)
_RELATION_SHARES = (0.18, 0.18, 0.2, 0.24, 0.2)
_ASIDE: tuple[Relation, ...] = ("left of", "right of")
_SAME_KIND = 0.12
_TALL = 0.5


def draw_scene(rng: np.random.Generator) -> Scene:
    """A scene by lot: every kind is as likely to be the main one."""
    first = str(rng.choice(list(KINDS)))
    background = str(rng.choice(KINDS[first].backgrounds))
    count = int(rng.choice(3, p=_THING_COUNTS)) + 1
    if count == 1:
        return Scene(background, (_thing(rng, first, background, _anywhere(rng)),))
    one, other = _pair(rng, first, background)
    if count == 2:
        return Scene(background, (one, other))
    return Scene(background, (one, other, _third(rng, background, (one, other))))


def _anywhere(rng: np.random.Generator) -> float:
    return float(rng.choice([0.24, 0.5, 0.76]) + rng.uniform(-0.05, 0.05))


def _thing(
    rng: np.random.Generator,
    kind: str,
    background: str,
    x: float,
    depth: float | None = None,
    *,
    size: Size | None = None,
    not_colour: str = "",
) -> Thing:
    colours = [c for c in KINDS[kind].colours if (c, background) not in HIDDEN and c != not_colour]
    drawn = SIZES[int(rng.integers(2))]
    near = float(rng.uniform(0.45, 0.6))
    return Thing(kind, str(rng.choice(colours)), size or drawn, x, near if depth is None else depth)


def _pair(rng: np.random.Generator, first: str, background: str) -> tuple[Thing, Thing]:
    """Two things, the first of this kind or (where the relation wants one in the air) related to it."""
    relation = RELATIONS[int(rng.choice(len(RELATIONS), p=_RELATION_SHARES))]
    second = first if rng.random() < _SAME_KIND else _grounded_beside(rng, background, first)
    if relation == "above":
        first, second = _one_over_other(rng, background, first)
    elif KINDS[first].flies or KINDS[second].flies:
        relation = _ASIDE[int(rng.integers(2))]
    elif relation == "in front of":
        backdrops = [kind for kind in _kinds(background) if KINDS[kind].backdrop and kind != first]
        second = str(rng.choice(backdrops)) if backdrops else second
    here, there = _layout(rng, relation)
    one = _thing(rng, first, background, *here, size="small" if relation == "in front of" else None)
    size: Size | None = "large" if relation == "in front of" else None
    if relation == "above" and KINDS[second].side > _TALL:
        size = "small"
    same = one.colour if second == first else ""
    return one, _thing(rng, second, background, *there, size=size, not_colour=same)


def _one_over_other(rng: np.random.Generator, background: str, kind: str) -> tuple[str, str]:
    """This kind over one on the ground if it flies, else one that flies over this kind."""
    if KINDS[kind].flies:
        return kind, _grounded_beside(rng, background, kind)
    return str(rng.choice([name for name in _kinds(background) if KINDS[name].flies])), kind


def _layout(rng: np.random.Generator, relation: Relation) -> tuple[tuple[float, float], tuple[float, float]]:
    """Positions (x, depth) of the subject and the object of a relation."""
    near, far = float(rng.uniform(0.45, 0.6)), float(rng.uniform(0.45, 0.6))
    left, right = float(rng.uniform(0.2, 0.27)), float(rng.uniform(0.7, 0.8))
    middle, gap = float(rng.uniform(0.42, 0.58)), float(rng.uniform(0.32, 0.38))
    if relation == "left of":
        return (left, near), (right, far)
    if relation == "right of":
        return (right, near), (left, far)
    if relation == "next to":
        side = gap / 2 if rng.random() < 0.5 else -gap / 2
        return (middle - side, near), (middle + side, far)
    x = float(rng.choice([0.3, 0.5, 0.7]))
    shift = float(rng.uniform(-0.12, 0.12))
    if relation == "in front of":
        near, far = 0.95, 0.2
    return (x + shift, near), (x, far)


def _third(rng: np.random.Generator, background: str, things: tuple[Thing, Thing]) -> Thing:
    free = max((0.17, 0.5, 0.83), key=lambda x: min(abs(x - thing.x) for thing in things))
    kinds = [k for k in _kinds(background) if k not in {thing.kind for thing in things}]
    x = free + float(rng.uniform(-0.03, 0.03))
    return _thing(rng, str(rng.choice(kinds)), background, x, size="small")


def _kinds(background: str) -> list[str]:
    return [name for name, kind in KINDS.items() if background in kind.backgrounds]


def _grounded_beside(rng: np.random.Generator, background: str, first: str) -> str:
    """Another kind, one that does not fly if the first does."""
    kinds = [k for k in _kinds(background) if k != first and not (KINDS[first].flies and KINDS[k].flies)]
    return str(rng.choice(kinds))
