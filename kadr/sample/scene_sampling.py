"""Generate random scene graphs that cover every object category and every relation."""

import numpy as np

from kadr.sample.scene_graph import SceneGraph, SceneObject
from kadr.sample.scene_vocabulary import LOW_CONTRAST, OBJECT_CATEGORIES, RELATIONS, SIZES, Relation, Size

_OBJECT_COUNT_SHARES = (0.18, 0.52, 0.30)
_RELATION_SHARES = (0.18, 0.18, 0.2, 0.24, 0.2)
_SIDEWAYS: tuple[Relation, ...] = ("left of", "right of")
_SAME_CATEGORY_SHARE = 0.12
_TALL = 0.5


def sample_scene(rng: np.random.Generator) -> SceneGraph:
    """Return a random scene. Its first object category is chosen uniformly at random."""
    first = str(rng.choice(list(OBJECT_CATEGORIES)))
    background = str(rng.choice(OBJECT_CATEGORIES[first].backgrounds))
    n_objects = int(rng.choice(3, p=_OBJECT_COUNT_SHARES)) + 1
    if n_objects == 1:
        return SceneGraph(background, (_sample_object(rng, first, background, _sample_x(rng)),))
    subject, target = _sample_related_objects(rng, first, background)
    if n_objects == 2:
        return SceneGraph(background, (subject, target))
    return SceneGraph(background, (subject, target, _sample_third_object(rng, background, (subject, target))))


def _sample_x(rng: np.random.Generator) -> float:
    return float(rng.choice([0.24, 0.5, 0.76]) + rng.uniform(-0.05, 0.05))


def _sample_object(
    rng: np.random.Generator,
    category: str,
    background: str,
    x: float,
    depth: float | None = None,
    *,
    size: Size | None = None,
    excluded_colour: str = "",
) -> SceneObject:
    colours = [
        colour
        for colour in OBJECT_CATEGORIES[category].colours
        if (colour, background) not in LOW_CONTRAST and colour != excluded_colour
    ]
    random_size = SIZES[int(rng.integers(2))]
    random_depth = float(rng.uniform(0.45, 0.6))
    colour = str(rng.choice(colours))
    return SceneObject(category, colour, size or random_size, x, random_depth if depth is None else depth)


def _sample_related_objects(rng: np.random.Generator, first: str, background: str) -> tuple[SceneObject, SceneObject]:
    """Return two objects in a random relation.

    The first object has the category `first`, with one exception: if the relation is "above" and `first` does not fly,
    then `first` is the category of the second object.
    """
    relation = RELATIONS[int(rng.choice(len(RELATIONS), p=_RELATION_SHARES))]
    second = first if rng.random() < _SAME_CATEGORY_SHARE else _sample_other_category(rng, background, first)
    if relation == "above":
        first, second = _sample_vertical_categories(rng, background, first)
    elif OBJECT_CATEGORIES[first].flies or OBJECT_CATEGORIES[second].flies:
        relation = _SIDEWAYS[int(rng.integers(2))]
    elif relation == "in front of":
        backdrops = [
            category
            for category in _list_categories(background)
            if OBJECT_CATEGORIES[category].backdrop and category != first
        ]
        second = str(rng.choice(backdrops)) if backdrops else second
    subject_place, target_place = _sample_places(rng, relation)
    subject_size: Size | None = "small" if relation == "in front of" else None
    subject = _sample_object(rng, first, background, *subject_place, size=subject_size)
    target_size: Size | None = "large" if relation == "in front of" else None
    if relation == "above" and OBJECT_CATEGORIES[second].side > _TALL:
        target_size = "small"
    excluded_colour = subject.colour if second == first else ""
    target = _sample_object(rng, second, background, *target_place, size=target_size, excluded_colour=excluded_colour)
    return subject, target


def _sample_vertical_categories(rng: np.random.Generator, background: str, category: str) -> tuple[str, str]:
    """Return the categories of a flying object and of an object below it. One of the two categories is `category`."""
    if OBJECT_CATEGORIES[category].flies:
        return category, _sample_other_category(rng, background, category)
    return str(rng.choice([name for name in _list_categories(background) if OBJECT_CATEGORIES[name].flies])), category


def _sample_places(rng: np.random.Generator, relation: Relation) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the (x, depth) positions of the subject and the target of a relation."""
    near, far = float(rng.uniform(0.45, 0.6)), float(rng.uniform(0.45, 0.6))
    left, right = float(rng.uniform(0.2, 0.27)), float(rng.uniform(0.7, 0.8))
    middle, gap = float(rng.uniform(0.42, 0.58)), float(rng.uniform(0.32, 0.38))
    if relation == "left of":
        return (left, near), (right, far)
    if relation == "right of":
        return (right, near), (left, far)
    if relation == "next to":
        offset = gap / 2 if rng.random() < 0.5 else -gap / 2
        return (middle - offset, near), (middle + offset, far)
    x = float(rng.choice([0.3, 0.5, 0.7]))
    shift = float(rng.uniform(-0.12, 0.12))
    if relation == "in front of":
        near, far = 0.95, 0.2
    return (x + shift, near), (x, far)


def _sample_third_object(
    rng: np.random.Generator, background: str, objects: tuple[SceneObject, SceneObject]
) -> SceneObject:
    free_x = max((0.17, 0.5, 0.83), key=lambda x: min(abs(x - scene_object.x) for scene_object in objects))
    used = {scene_object.category for scene_object in objects}
    categories = [category for category in _list_categories(background) if category not in used]
    x = free_x + float(rng.uniform(-0.03, 0.03))
    return _sample_object(rng, str(rng.choice(categories)), background, x, size="small")


def _list_categories(background: str) -> list[str]:
    return [name for name, category in OBJECT_CATEGORIES.items() if background in category.backgrounds]


def _sample_other_category(rng: np.random.Generator, background: str, first: str) -> str:
    """Return a category other than `first`. If `first` flies, the returned category does not fly."""
    categories = [
        category
        for category in _list_categories(background)
        if category != first and not (OBJECT_CATEGORIES[first].flies and OBJECT_CATEGORIES[category].flies)
    ]
    return str(rng.choice(categories))
