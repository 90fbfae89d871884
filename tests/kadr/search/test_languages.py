"""Tests of queries in other languages, and of hints about what the encoders cannot know."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from kadr.encoders import TextEncoder
from kadr.encoders.scripts import count_scripts
from kadr.encoders.text_reading import TextReading, UnknownWord
from kadr.errors import SearchError
from kadr.features import Images, Texts
from kadr.index import Index, build_index
from kadr.io.embeddings import Embeddings, Rows, Vectors
from kadr.io.schemas import IMAGES
from kadr.search import Filters, Query, Searcher, parse_query
from kadr.search.languages import KnownLanguages, UnknownLanguage

ENGLISH = KnownLanguages(frozenset({"en"}), frozenset({"LATIN"}))
RUSSIAN = KnownLanguages(frozenset({"ru"}), None)
NAMES = ["a", "b", "c"]


class EastEncoder(TextEncoder):
    """A text encoder that returns the same vector for every text, and knows some languages.

    Args:
        languages: languages that the encoder knows. None for all.
    """

    dim = 2

    def __init__(self, languages: Sequence[str] | None) -> None:
        self.declared_languages = languages

    @classmethod
    def fit(cls, *args: object) -> "EastEncoder":
        raise NotImplementedError

    load = fit

    def transform(self, texts: Sequence[str]) -> Vectors:
        return np.tile(np.array([[1, 0]], dtype=np.float32), (len(texts), 1))

    def read_text(self, text: str) -> TextReading:
        words = text.split()
        unknown = tuple(UnknownWord(word, ("x", "y")) for word in words if word == "xy")
        return TextReading(len(words), 6, " ".join(words[6:]), unknown, bool(words == ["xy"]))


class LastFirst:
    """A relevance model that prefers the images that are last by ID."""

    def predict(self, images: Images, texts: Texts, image_rows: Rows, text_rows: Rows) -> np.ndarray:
        return np.array([0.2 + 0.3 * NAMES.index(images.ids[row]) for row in image_rows])


def make_searcher(search_languages: Sequence[str] | None, model_languages: Sequence[str] | None) -> Searcher:
    rows = [{"image_id": name, "path": f"{name}.jpg", "split": "test", "status": "ok"} for name in NAMES]
    angles = np.radians([0, 20, 40])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    index: Index = build_index(pa.Table.from_pylist(rows, IMAGES), {"clip": Embeddings(NAMES, vectors, {})}, "clip", 10)
    encoders = {"clip": EastEncoder(search_languages), "sbert": EastEncoder(model_languages)}
    return Searcher(index, encoders, LastFirst(), 3)


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("собака в снегу", "CYRILLIC"),
        ("кот", "CYRILLIC"),  # one word is enough
        ("雪地里的狗", "CJK"),
        ("كلب في الثلج", "ARABIC"),
        ("собака dog в снегу", "CYRILLIC"),
    ],
)
def test_another_script_is_found(text: str, script: str) -> None:
    assert ENGLISH.find_unknown(text) == UnknownLanguage(script=script)
    assert KnownLanguages().find_unknown(text) is None


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("zwei Kinder spielen am Strand", "de"),
        ("un chien dans la neige", "fr"),
        ("dos niños juegan en la playa", "es"),
        ("twee kinderen spelen op het strand", "nl"),
        ("czerwony samochód na ulicy", "pl"),
    ],
)
def test_another_language_in_latin_letters_is_found(text: str, language: str) -> None:
    assert ENGLISH.find_unknown(text) == UnknownLanguage(language=language)


@pytest.mark.parametrize(
    "text",
    [
        "dog",
        "auto",
        "villa",
        "a dog in the snow",
        "burrito at a table",
        "Eiffel tower",
        "las vegas at night",
        "red car",
        "asdkjh qwe",  # no language
        "2024",
        "!!!",
        "🐕",
        "dog собака house garden",
    ],
)
def test_a_text_that_may_be_english_is_not_refused(text: str) -> None:
    assert ENGLISH.find_unknown(text) is None


def test_the_known_languages_are_those_of_all_encoders() -> None:
    known = KnownLanguages.of_encoders([EastEncoder(None), EastEncoder(["en", "ru"]), EastEncoder(["ru"]), object()])
    assert known == RUSSIAN
    assert known.find_unknown("собака бежит по снегу") is None
    assert known.find_unknown("雪地里的狗在跑") == UnknownLanguage(language="zh")


def test_scripts_are_counted_without_fullwidth_forms() -> None:
    assert count_scripts("\uff24og и 犬 1!") == {"LATIN": 3, "CYRILLIC": 1, "CJK": 1}


@pytest.mark.parametrize(
    ("text", "order", "n_hints"),
    [("a dog in the snow", "cba", 0), ("собака бежит по снегу", "abc", 1), ("- снег в горах", "abc", 1)],
)
def test_the_relevance_model_is_used_only_in_its_languages(text: str, order: str, n_hints: int) -> None:
    searcher = make_searcher(None, ["en"])
    query = parse_query(text)
    matches = searcher.search(query, 3)
    assert "".join(match.image_id for match in matches) == (order if "-" not in text else order[::-1])
    assert [match.relevance is None for match in matches] == [n_hints > 0] * 3
    hints = searcher.explain(text, query).hints
    assert len(hints) == n_hints
    assert all("ranked by cosine alone, because the relevance model knows only en." in hint for hint in hints)


def test_a_minimum_relevance_needs_a_known_language() -> None:
    query = parse_query("собака бежит по снегу", Filters(min_relevance=0.1))
    with pytest.raises(SearchError, match="in a language that the text encoders of the model know"):
        make_searcher(None, ["en"]).search(query, 3)
    assert len(make_searcher(None, ["ru"]).search(query, 3)) == 3


@pytest.mark.parametrize(
    ("text", "hints"),
    [
        ("a dog", []),
        ("zwei Kinder spielen am Strand", [r"another language \(de\).* knows \(en\)", "ranked by cosine alone"]),
        ("xy", ["may not know 'xy': it reads 'x y'"]),
        ("?!", ["contains no words"]),
        ("🐕", []),
        ("dog-people", ["dash in 'dog-people' is part of the text"]),
        ("a dog in the deep snow today", ["7 tokens.* first 6.* from 'today'"]),
    ],
)
def test_hints_say_what_the_encoder_cannot_know(text: str, hints: list[str]) -> None:
    import re

    found = make_searcher(["en"], ["en"]).explain(text, parse_query(text)).hints
    assert len(found) == len(hints)
    assert all(re.search(pattern, hint) for pattern, hint in zip(hints, found, strict=True))


def test_a_query_without_texts_has_no_hints() -> None:
    assert make_searcher(["en"], ["en"]).explain("", Query(())).hints == ()
