"""What may stand in a scene: kinds, colours, backgrounds, and how alike they are.

A new kind is one entry here, its words in `wording.py` and one drawing in `drawing/`.
"""

from dataclasses import dataclass
from typing import Literal, get_args

Size = Literal["small", "large"]
Place = Literal["left", "centre", "right"]
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
_ALL = tuple(COLOURS)
_VIVID = ("red", "orange", "yellow", "green", "blue", "purple", "pink")

BACKGROUNDS = ("beach", "meadow", "snow", "street", "room", "night", "lake", "desert")
_OUTDOORS = tuple(name for name in BACKGROUNDS if name != "room")


@dataclass(frozen=True)
class Kind:
    """One kind of thing: `side` is the height of its square relative to the photo's when large."""

    side: float
    colours: tuple[str, ...]
    backgrounds: tuple[str, ...] = BACKGROUNDS
    flies: bool = False
    backdrop: bool = False


KINDS: dict[str, Kind] = {
    "ball": Kind(0.34, _ALL),
    "tree": Kind(0.74, ("green", "orange", "yellow", "pink"), _OUTDOORS, backdrop=True),
    "house": Kind(0.64, ("red", "yellow", "white", "blue", "pink", "brown"), _OUTDOORS, backdrop=True),
    "car": Kind(0.54, _ALL, tuple(name for name in _OUTDOORS if name != "lake"), backdrop=True),
    "boat": Kind(0.60, ("red", "blue", "white", "yellow", "green", "brown"), ("beach", "lake")),
    "dog": Kind(0.48, ("brown", "black", "white")),
    "cat": Kind(0.46, ("orange", "black", "white", "brown")),
    "bird": Kind(0.42, ("red", "blue", "yellow", "black", "white", "green"), flies=True),
    "person": Kind(0.66, (*_VIVID, "black", "white")),
    "umbrella": Kind(0.52, _ALL),
    "flower": Kind(0.50, ("red", "yellow", "pink", "purple", "white", "orange", "blue")),
    "chair": Kind(0.48, ("brown", "red", "blue", "white", "green", "black", "yellow"), backdrop=True),
    "kite": Kind(0.48, _VIVID, _OUTDOORS, flies=True),
    "lamp": Kind(0.62, ("red", "yellow", "green", "white", "blue", "orange", "purple")),
}

HIDDEN = frozenset({("white", "snow"), ("black", "night"), ("yellow", "desert")})
"""Colours that can hardly be told from their background, and so are not drawn there."""

KINSHIP: dict[frozenset[str], float] = {
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


def likeness(wanted: str, found: str) -> float:
    """How far one word's thing passes for another's, 0..1: `likeness("dog", "cat")` is 0.35."""
    return 1.0 if wanted == found else KINSHIP.get(frozenset({wanted, found}), 0.0)
