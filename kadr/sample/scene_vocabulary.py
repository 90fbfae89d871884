"""Vocabulary of the sample scenes: object categories, colours, backgrounds, relations and word similarities.

To add an object category, add an entry to `OBJECT_CATEGORIES`, words to `kadr/sample/lexicon.py` and a drawing function
to `kadr/sample/drawing/`.
"""

from dataclasses import dataclass
from typing import Literal, get_args

Size = Literal["small", "large"]
Position = Literal["left", "centre", "right"]
Relation = Literal["left of", "right of", "above", "next to", "in front of"]
RGB = tuple[float, float, float]

SIZES: tuple[Size, ...] = get_args(Size)
RELATIONS: tuple[Relation, ...] = get_args(Relation)

COLOURS: dict[str, RGB] = {
    "red": (206, 32, 36),
    "orange": (242, 128, 24),
    "yellow": (246, 214, 42),
    "green": (44, 150, 58),
    "blue": (36, 84, 206),
    "purple": (126, 48, 168),
    "pink": (246, 132, 178),
    "brown": (122, 76, 40),
    "black": (34, 34, 38),
    "white": (240, 240, 236),
}
_ALL_COLOURS = tuple(COLOURS)
_SATURATED_COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink")

BACKGROUNDS = ("beach", "meadow", "snow", "street", "room", "night", "lake", "desert")
_OUTDOORS = tuple(name for name in BACKGROUNDS if name != "room")


@dataclass(frozen=True)
class ObjectCategory:
    """One category of objects.

    Attributes:
        side: Side length of the square that contains a large object, as a fraction of the image height.
        colours: Colours that objects of this category can have.
        backgrounds: Backgrounds that objects of this category can appear on.
        flies: Whether objects of this category are always in the air.
        backdrop: Whether another object can stand in front of objects of this category.
    """

    side: float
    colours: tuple[str, ...]
    backgrounds: tuple[str, ...] = BACKGROUNDS
    flies: bool = False
    backdrop: bool = False


OBJECT_CATEGORIES: dict[str, ObjectCategory] = {
    "ball": ObjectCategory(0.34, _ALL_COLOURS),
    "tree": ObjectCategory(0.74, ("green", "orange", "yellow", "pink"), _OUTDOORS, backdrop=True),
    "house": ObjectCategory(0.64, ("red", "yellow", "white", "blue", "pink", "brown"), _OUTDOORS, backdrop=True),
    "car": ObjectCategory(0.54, _ALL_COLOURS, tuple(name for name in _OUTDOORS if name != "lake"), backdrop=True),
    "boat": ObjectCategory(0.60, ("red", "blue", "white", "yellow", "green", "brown"), ("beach", "lake")),
    "dog": ObjectCategory(0.48, ("brown", "black", "white")),
    "cat": ObjectCategory(0.46, ("orange", "black", "white", "brown")),
    "bird": ObjectCategory(0.42, ("red", "blue", "yellow", "black", "white", "green"), flies=True),
    "person": ObjectCategory(0.66, (*_SATURATED_COLOURS, "black", "white")),
    "umbrella": ObjectCategory(0.52, _ALL_COLOURS),
    "flower": ObjectCategory(0.50, ("red", "yellow", "pink", "purple", "white", "orange", "blue")),
    "chair": ObjectCategory(0.48, ("brown", "red", "blue", "white", "green", "black", "yellow"), backdrop=True),
    "kite": ObjectCategory(0.48, _SATURATED_COLOURS, _OUTDOORS, flies=True),
    "lamp": ObjectCategory(0.62, ("red", "yellow", "green", "white", "blue", "orange", "purple")),
}

LOW_CONTRAST = frozenset({("white", "snow"), ("black", "night"), ("yellow", "desert")})
"""Combinations of an object colour and a background with too little contrast. Scenes never use these combinations."""

SIMILARITIES: dict[frozenset[str], float] = {
    frozenset({"dog", "cat"}): 0.35,
    frozenset({"tree", "flower"}): 0.25,
    frozenset({"car", "boat"}): 0.2,
    frozenset({"bird", "kite"}): 0.2,
    frozenset({"beach", "desert"}): 0.4,
    frozenset({"beach", "lake"}): 0.4,
    frozenset({"meadow", "lake"}): 0.3,
    frozenset({"red", "orange"}): 0.4,
    frozenset({"red", "pink"}): 0.4,
    frozenset({"orange", "yellow"}): 0.4,
    frozenset({"orange", "brown"}): 0.4,
    frozenset({"purple", "pink"}): 0.4,
    frozenset({"purple", "blue"}): 0.4,
    frozenset({"brown", "black"}): 0.3,
}


def similarity(word: str, other: str) -> float:
    """Return the similarity of two categories, colours or backgrounds, 0 to 1.

    >>> similarity("dog", "cat")
    0.35
    """
    return 1.0 if word == other else SIMILARITIES.get(frozenset({word, other}), 0.0)
