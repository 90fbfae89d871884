"""The scene graph of a sample image: a background, objects, and the spatial relations between the objects."""

from dataclasses import dataclass

from kadr.sample.scene_vocabulary import OBJECT_CATEGORIES, Position, Relation, Size


@dataclass(frozen=True)
class SceneObject:
    """One object of a scene.

    Attributes:
        category: Key of `OBJECT_CATEGORIES`.
        colour: Key of `COLOURS`.
        size: Size of the object, `small` or `large`.
        x: Horizontal position of the object's centre, 0 (left edge) to 1 (right edge).
        depth: Depth of the object in the scene, 0 (far from the camera) to 1 (near the camera).
    """

    category: str
    colour: str
    size: Size
    x: float
    depth: float

    @property
    def flies(self) -> bool:
        """Whether objects of this category are always in the air."""
        return OBJECT_CATEGORIES[self.category].flies

    @property
    def position(self) -> Position:
        """Horizontal position of the object's centre: left (x below 0.4), right (x above 0.6) or centre."""
        if self.x < 0.4:
            return "left"
        return "right" if self.x > 0.6 else "centre"


@dataclass(frozen=True)
class SceneGraph:
    """A background and one to three objects. The main objects come first."""

    background: str
    objects: tuple[SceneObject, ...]


def relation_holds(relation: Relation, subject: SceneObject, target: SceneObject) -> bool:
    """Return whether `subject` has this spatial relation to `target`. Several relations can hold at the same time."""
    offset = target.x - subject.x
    if relation in ("left of", "right of"):
        return (offset if relation == "left of" else -offset) > 0.2
    if relation == "above":
        return subject.flies and not target.flies and abs(offset) <= 0.2
    if subject.flies or target.flies:
        return False
    if relation == "in front of":
        return subject.depth - target.depth > 0.35 and abs(offset) <= 0.2
    return abs(subject.depth - target.depth) <= 0.2 and 0.2 < abs(offset) <= 0.4
