"""What a caption says, and how true it is of a scene: the relevance that raters try to see."""

from dataclasses import dataclass
from itertools import permutations

from kadr.sample.scene import Scene, Thing, holds
from kadr.sample.vocabulary import Place, Relation, Size, likeness

_KIND, _COLOUR, _SIZE, _PLACE = 0.55, 0.30, 0.10, 0.12
_LINK, _BACKGROUND = 0.45, 0.35


@dataclass(frozen=True)
class Mention:
    """One thing as a caption names it; what it leaves out is None."""

    kind: str
    colour: str | None = None
    size: Size | None = None
    place: Place | None = None


@dataclass(frozen=True)
class Statement:
    """A caption's meaning: its mentions, how the first relates to the second, and where it all is."""

    mentions: tuple[Mention, ...]
    relation: Relation | None = None
    background: str | None = None


def relevance(statement: Statement, scene: Scene) -> float:
    """How far the statement is true of the scene.

    Every mention is matched with another thing, in the way that serves the statement best. The kind counts
    most, then the colour, the relation, the background, size and place. What the scene holds beyond it does
    no harm.

    Returns:
        0 (nothing of it is there) .. 1 (all of it is).
    """
    things: tuple[Thing | None, ...] = scene.things + (None,) * len(statement.mentions)
    weight = float(len(statement.mentions))
    weight += _LINK * (statement.relation is not None) + _BACKGROUND * (statement.background is not None)
    best = max(_matched(statement, chosen) for chosen in permutations(things, len(statement.mentions)))
    if statement.background is not None:
        best += _BACKGROUND * likeness(statement.background, scene.background)
    return round(best / weight, 6)


def _matched(statement: Statement, chosen: tuple[Thing | None, ...]) -> float:
    scores = [_seen(mention, thing) for mention, thing in zip(statement.mentions, chosen, strict=True)]
    total = sum(scores)
    if statement.relation is not None:
        one, other = chosen[:2]
        first, second = statement.mentions[:2]
        if one and other and (one.kind, other.kind) == (first.kind, second.kind):
            total += _LINK * holds(statement.relation, one, other)
    return total


def _seen(mention: Mention, thing: Thing | None) -> float:
    """How far a thing is what the mention says, 0..1; 0 where the kind is quite another."""
    if thing is None:
        return 0.0
    kind = likeness(mention.kind, thing.kind)
    score, weight = _KIND, _KIND
    if mention.colour is not None:
        score, weight = score + _COLOUR * likeness(mention.colour, thing.colour), weight + _COLOUR
    if mention.size is not None:
        score, weight = score + _SIZE * (mention.size == thing.size), weight + _SIZE
    if mention.place is not None:
        score, weight = score + _PLACE * (mention.place == thing.place), weight + _PLACE
    return kind * score / weight
