"""Captions: the words that statements about a scene are told in."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kadr.sample.caption_facts import tell_partly, tell_wholly
from kadr.sample.phrases import (
    CLOTHES,
    NOUNS,
    PLACES,
    RELATION_WORDS,
    REVERSED,
    SETTINGS,
    SHADES,
    SIZE_WORDS,
    VERBS,
)
from kadr.sample.scene import Scene
from kadr.sample.truth import Mention, Statement

CAPTIONS_PER_PHOTO = 5
_OPENINGS = ("there is ", "there's ", "a photo of ", "we see ", "a picture of ")


@dataclass(frozen=True)
class Caption:
    """A text and what it says."""

    text: str
    statement: Statement


def captions_of(scene: Scene, rng: np.random.Generator, full: bool = False) -> tuple[Caption, ...]:
    """Five different captions, all true of the scene; if `full`, each names the main things in colour."""
    captions: dict[str, Caption] = {}
    while len(captions) < CAPTIONS_PER_PHOTO:
        partial = not full and len(captions) >= 2
        caption = _caption(scene, rng, partial)
        captions.setdefault(caption.text.lower().rstrip(" ."), caption)
    return tuple(captions.values())


def _caption(scene: Scene, rng: np.random.Generator, partial: bool) -> Caption:
    statement = (tell_partly if partial else tell_wholly)(scene, rng)
    return Caption(_dressed(_told(statement, rng), rng), statement)


def _told(statement: Statement, rng: np.random.Generator) -> str:
    """The statement in English, in lower case and without a full stop."""
    names = [_named(mention, rng) for mention in statement.mentions]
    where = _one(SETTINGS[statement.background], rng) if statement.background else ""
    if len(names) == 1:
        text = _single(statement.mentions[0], names[0], where, rng)
    elif statement.relation is None:
        text = _opening(rng) + " and ".join([", ".join(names[:-1]), names[-1]]) + f" {where}"
    else:
        text = _pair(statement, names, where, rng)
    return " ".join(text.split()).replace(" ,", ",")


def _single(mention: Mention, name: str, where: str, rng: np.random.Generator) -> str:
    place = _one(PLACES[mention.place], rng) if mention.place else ""
    verb = _one(VERBS[mention.kind], rng) if (where or place) else ""
    opening = _opening(rng)
    forms = (f"{name} {verb} {place} {where}", f"{opening}{name} {place} {where}", f"{name} {where} {place}")
    return _one(forms, rng)


def _pair(statement: Statement, names: list[str], where: str, rng: np.random.Generator) -> str:
    relation = str(statement.relation)
    subject, target, word = names[0], names[1], _one(RELATION_WORDS[relation], rng)
    kind = statement.mentions[0].kind
    if rng.random() < 0.25:
        subject, target, word = target, subject, _one(REVERSED[relation], rng)
        kind = statement.mentions[1].kind
    verb = _one(VERBS[kind], rng)
    extra = f"with {names[2]}" if len(names) > 2 else ""
    comma = ", " if extra else ""
    forms: list[Callable[[], str]] = [
        lambda: f"{subject} {verb} {word} {target} {where}{comma}{extra}",
        lambda: f"{subject} {word} {target} {where}{comma}{extra}",
        lambda: f"{_opening(rng)}{subject} {word} {target} {where}{comma}{extra}",
        lambda: f"{where}{', ' if where else ''}{subject} {verb} {word} {target} {extra}",
    ]
    return forms[int(rng.integers(len(forms)))]()


def _named(mention: Mention, rng: np.random.Generator) -> str:
    noun = _one(NOUNS[mention.kind], rng)
    colour = _one(SHADES[mention.colour], rng) if mention.colour else ""
    size = _one(SIZE_WORDS[mention.size], rng) if mention.size else ""
    clothes = ""
    if mention.kind == "person" and colour:
        clothes, colour = _one(CLOTHES, rng).format(colour).replace("in a o", "in an o"), ""
    if mention.kind == "tree" and size:
        size = "small" if mention.size == "small" else "tall"
    if mention.kind == "cat" and colour == "orange" and rng.random() < 0.3:
        colour = "ginger"
    words = " ".join(f"{size} {colour} {noun} {clothes}".split())
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _dressed(text: str, rng: np.random.Generator) -> str:
    """As people type: with or without a capital, a full stop, a space before it."""
    if rng.random() < 0.65:
        text = text[0].upper() + text[1:]
    return text + str(rng.choice(["", ".", " ."], p=(0.35, 0.5, 0.15)))


def _opening(rng: np.random.Generator) -> str:
    return _one(_OPENINGS, rng) if rng.random() < 0.5 else ""


def _one(words: tuple[str, ...], rng: np.random.Generator) -> str:
    return words[int(rng.integers(len(words)))]
