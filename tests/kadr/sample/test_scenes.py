"""Tests for scenes, captions, true relevances and rendering."""

import numpy as np
import pytest

from kadr.sample.caption_templates import generate_captions
from kadr.sample.drawing import render_scene
from kadr.sample.drawing.backgrounds import BACKGROUND_PAINTERS
from kadr.sample.drawing.scene_renderer import OBJECT_PAINTERS, render_object
from kadr.sample.lexicon import BACKGROUND_PHRASES, NOUNS, VERBS
from kadr.sample.scene_graph import SceneGraph, SceneObject, relation_holds
from kadr.sample.scene_sampling import sample_scene
from kadr.sample.scene_vocabulary import BACKGROUNDS, OBJECT_CATEGORIES, RELATIONS
from kadr.sample.split_images import make_distinct_images, make_images
from kadr.sample.true_relevance import CaptionMeaning, ObjectMention, true_relevance

RED_BALL = SceneObject("ball", "red", "small", 0.25, 0.5)
BLUE_CAR = SceneObject("car", "blue", "large", 0.75, 0.5)
SCENE = SceneGraph("beach", (RED_BALL, BLUE_CAR))
RED_BALL_LEFT_OF_BLUE_CAR = CaptionMeaning(
    (ObjectMention("ball", "red"), ObjectMention("car", "blue")), "left of", "beach"
)


def mention_pair(first: tuple[str, str], second: tuple[str, str], background: str = "beach") -> CaptionMeaning:
    return CaptionMeaning((ObjectMention(*first), ObjectMention(*second)), "left of", background)


def test_every_category_and_background_has_words_and_a_painter() -> None:
    assert set(OBJECT_CATEGORIES) == set(OBJECT_PAINTERS) == set(NOUNS) == set(VERBS)
    assert set(BACKGROUNDS) == set(BACKGROUND_PAINTERS) == set(BACKGROUND_PHRASES)


def test_random_scenes_contain_every_category_and_every_relation() -> None:
    scenes = [sample_scene(np.random.default_rng(seed)) for seed in range(300)]
    assert {scene_object.category for scene in scenes for scene_object in scene.objects} == set(OBJECT_CATEGORIES)
    pairs = [scene.objects[:2] for scene in scenes if len(scene.objects) > 1]
    for relation in RELATIONS:
        assert sum(relation_holds(relation, *pair) for pair in pairs) > 20


def test_an_image_does_not_depend_on_the_number_of_images() -> None:
    assert make_images(3, "train", 2) == make_images(3, "train", 5)[:2]


# True relevance


@pytest.mark.parametrize(
    ("meaning", "minimum", "maximum"),
    [
        (RED_BALL_LEFT_OF_BLUE_CAR, 1, 1),
        (CaptionMeaning((ObjectMention("car"),)), 1, 1),
        (mention_pair(("car", "blue"), ("ball", "red")), 0.75, 0.9),
        (mention_pair(("ball", "green"), ("car", "blue")), 0.8, 0.95),
        (mention_pair(("ball", "red"), ("tree", "green")), 0.4, 0.6),
        (mention_pair(("cat", "white"), ("tree", "green")), 0.05, 0.2),
        (mention_pair(("cat", "white"), ("tree", "green"), "snow"), 0, 0),
    ],
    ids=["complete", "part", "swapped", "wrong colour", "one of two objects", "background only", "unrelated"],
)
def test_the_relevance_falls_with_each_wrong_part(meaning: CaptionMeaning, minimum: float, maximum: float) -> None:
    assert minimum <= true_relevance(meaning, SCENE) <= maximum


def test_the_relevance_does_not_depend_on_the_order_of_the_objects() -> None:
    assert true_relevance(RED_BALL_LEFT_OF_BLUE_CAR, SceneGraph("beach", (BLUE_CAR, RED_BALL))) == 1


def test_two_mentions_of_a_ball_need_two_balls() -> None:
    two_balls = CaptionMeaning((ObjectMention("ball", "red"), ObjectMention("ball", "red")))
    assert true_relevance(two_balls, SCENE) == pytest.approx(0.5)


# Captions


def test_the_captions_of_a_scene_are_correct_and_different() -> None:
    for seed in range(80):
        scene = sample_scene(np.random.default_rng(seed))
        captions = generate_captions(scene, np.random.default_rng(seed), full=seed % 2 == 0)
        assert len({caption.text for caption in captions}) == 5
        assert all(true_relevance(caption.meaning, scene) == pytest.approx(1) for caption in captions)


def test_a_test_caption_is_fully_relevant_to_one_test_image_only() -> None:
    images = make_distinct_images(0, "test", 25)
    for image in images:
        for caption in image.captions:
            assert len(caption.meaning.mentions) >= min(2, len(image.scene.objects))
            assert all(mention.colour for mention in caption.meaning.mentions)
            assert sum(true_relevance(caption.meaning, other.scene) > 0.999 for other in images) == 1


# Rendering


@pytest.mark.parametrize("category", OBJECT_CATEGORIES)
def test_an_object_is_rendered_in_every_colour_and_size(category: str) -> None:
    for colour in OBJECT_CATEGORIES[category].colours:
        for side in (24, 90):
            pixels = np.asarray(render_object(category, colour, side, np.random.default_rng(0)))
            assert pixels.shape == (side, side, 4)
            assert 0.08 < (pixels[..., 3] > 127).mean() < 0.8


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_a_scene_is_rendered_on_every_background(background: str) -> None:
    image = render_scene(SceneGraph(background, (RED_BALL,)), np.random.default_rng(0))
    assert image.mode == "RGB"
    assert image.height == 160
    assert 160 <= image.width <= 224
    assert np.asarray(image).std() > 10
