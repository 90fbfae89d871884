"""What is in a photo: a scene graph, and which relations hold in it."""

from dataclasses import dataclass

from kadr.sample.vocabulary import KINDS, Place, Relation, Size


@dataclass(frozen=True)
class Thing:
    """One thing: `x` is its middle in 0..1 from the left, `depth` 0 (far) .. 1 (near)."""

    kind: str
    colour: str
    size: Size
    x: float
    depth: float

    @property
    def flies(self) -> bool:
        """Whether this kind is always seen in the air."""
        return KINDS[self.kind].flies

    @property
    def place(self) -> Place:
        """The third of the photo it is in."""
        if self.x < 0.4:
            return "left"
        return "right" if self.x > 0.6 else "centre"


@dataclass(frozen=True)
class Scene:
    """A background and one to three things, the main ones first."""

    background: str
    things: tuple[Thing, ...]


def holds(relation: Relation, one: Thing, other: Thing) -> bool:
    """Whether `one` stands in this relation to `other`, by their positions; several may hold at once."""
    aside = other.x - one.x
    if relation in ("left of", "right of"):
        return (aside if relation == "left of" else -aside) > 0.2
    if relation == "above":
        return one.flies and not other.flies and abs(aside) <= 0.2
    if one.flies or other.flies:
        return False
    if relation == "in front of":
        return one.depth - other.depth > 0.35 and abs(aside) <= 0.2
    return abs(one.depth - other.depth) <= 0.2 and 0.2 < abs(aside) <= 0.4
