"""Caption templates: turn the meaning of a caption into an English sentence."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kadr.sample.caption_content import describe_fully, describe_partly
from kadr.sample.lexicon import (
    BACKGROUND_PHRASES,
    CLOTHES_TEMPLATES,
    COLOUR_WORDS,
    CONVERSE_RELATION_PHRASES,
    NOUNS,
    POSITION_PHRASES,
    RELATION_PHRASES,
    SIZE_WORDS,
    VERBS,
)
from kadr.sample.scene_graph import SceneGraph
from kadr.sample.true_relevance import CaptionMeaning, ObjectMention

CAPTIONS_PER_IMAGE = 5
_OPENINGS = ("there is ", "there's ", "a photo of ", "we see ", "a picture of ")


@dataclass(frozen=True)
class SampleCaption:
    """The text and the meaning of a caption."""

    text: str
    meaning: CaptionMeaning


def generate_captions(scene: SceneGraph, rng: np.random.Generator, full: bool = False) -> tuple[SampleCaption, ...]:
    """Return five distinct captions that describe a scene correctly.

    Args:
        scene: Scene to describe.
        rng: Random number generator.
        full: Whether all captions mention the main objects and their colours. If false, only the first two captions are
            sure to mention them.
    """
    captions: dict[str, SampleCaption] = {}
    while len(captions) < CAPTIONS_PER_IMAGE:
        partial = not full and len(captions) >= 2
        caption = _generate_caption(scene, rng, partial)
        captions.setdefault(caption.text.lower().rstrip(" ."), caption)
    return tuple(captions.values())


def _generate_caption(scene: SceneGraph, rng: np.random.Generator, partial: bool) -> SampleCaption:
    meaning = (describe_partly if partial else describe_fully)(scene, rng)
    return SampleCaption(_vary_punctuation(_make_sentence(meaning, rng), rng), meaning)


def _make_sentence(meaning: CaptionMeaning, rng: np.random.Generator) -> str:
    """Express the meaning of a caption as an English sentence in lower case and without a full stop."""
    phrases = [_noun_phrase(mention, rng) for mention in meaning.mentions]
    background = _choose(BACKGROUND_PHRASES[meaning.background], rng) if meaning.background else ""
    if len(phrases) == 1:
        text = _single_object_sentence(meaning.mentions[0], phrases[0], background, rng)
    elif meaning.relation is None:
        text = _choose_opening(rng) + " and ".join([", ".join(phrases[:-1]), phrases[-1]]) + f" {background}"
    else:
        text = _relation_sentence(meaning, phrases, background, rng)
    return " ".join(text.split()).replace(" ,", ",")


def _single_object_sentence(mention: ObjectMention, phrase: str, background: str, rng: np.random.Generator) -> str:
    position = _choose(POSITION_PHRASES[mention.position], rng) if mention.position else ""
    verb = _choose(VERBS[mention.category], rng) if (background or position) else ""
    opening = _choose_opening(rng)
    templates = (
        f"{phrase} {verb} {position} {background}",
        f"{opening}{phrase} {position} {background}",
        f"{phrase} {background} {position}",
    )
    return _choose(templates, rng)


def _relation_sentence(meaning: CaptionMeaning, phrases: list[str], background: str, rng: np.random.Generator) -> str:
    relation = str(meaning.relation)
    subject, target = phrases[0], phrases[1]
    relation_phrase = _choose(RELATION_PHRASES[relation], rng)
    category = meaning.mentions[0].category
    if rng.random() < 0.25:
        subject, target = target, subject
        relation_phrase = _choose(CONVERSE_RELATION_PHRASES[relation], rng)
        category = meaning.mentions[1].category
    verb = _choose(VERBS[category], rng)
    third = f"with {phrases[2]}" if len(phrases) > 2 else ""
    comma = ", " if third else ""
    templates: list[Callable[[], str]] = [
        lambda: f"{subject} {verb} {relation_phrase} {target} {background}{comma}{third}",
        lambda: f"{subject} {relation_phrase} {target} {background}{comma}{third}",
        lambda: f"{_choose_opening(rng)}{subject} {relation_phrase} {target} {background}{comma}{third}",
        lambda: f"{background}{', ' if background else ''}{subject} {verb} {relation_phrase} {target} {third}",
    ]
    return templates[int(rng.integers(len(templates)))]()


def _noun_phrase(mention: ObjectMention, rng: np.random.Generator) -> str:
    noun = _choose(NOUNS[mention.category], rng)
    colour = _choose(COLOUR_WORDS[mention.colour], rng) if mention.colour else ""
    size = _choose(SIZE_WORDS[mention.size], rng) if mention.size else ""
    clothes = ""
    if mention.category == "person" and colour:
        clothes = _choose(CLOTHES_TEMPLATES, rng).format(colour).replace("in a o", "in an o")
        colour = ""
    if mention.category == "tree" and size:
        size = "small" if mention.size == "small" else "tall"
    if mention.category == "cat" and colour == "orange" and rng.random() < 0.3:
        colour = "ginger"
    words = " ".join(f"{size} {colour} {noun} {clothes}".split())
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _vary_punctuation(text: str, rng: np.random.Generator) -> str:
    """Capitalise the first letter at random, and add a full stop at random, with or without a space before it."""
    if rng.random() < 0.65:
        text = text[0].upper() + text[1:]
    return text + str(rng.choice(["", ".", " ."], p=(0.35, 0.5, 0.15)))


def _choose_opening(rng: np.random.Generator) -> str:
    return _choose(_OPENINGS, rng) if rng.random() < 0.5 else ""


def _choose(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]
