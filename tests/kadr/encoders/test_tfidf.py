"""TF-IDF: unit vectors whatever the text, the same bytes for the same texts, small vocabularies."""

import sys
from pathlib import Path

import numpy as np
import pytest

from kadr.encoders import fit_text_encoder, load_text_encoder, tokens
from kadr.errors import EncoderError
from kadr.params import TfidfParams

TEXTS = ["a dog runs", "a dog sits on grass", "the red car", "a blue boat on water", "a red boat"]


def params(dim: int) -> TfidfParams:
    return TfidfParams(backend="tfidf", max_features=100, ngram_max=2, dim=dim)


@pytest.mark.parametrize("dim", [1, 2, 4, 128])
def test_vectors_are_of_unit_norm_and_no_longer_than_dim(dim: int) -> None:
    encoder = fit_text_encoder(params(dim), "auto", TEXTS, 0)
    vectors = encoder.transform([*TEXTS, "zebra", ""])
    assert vectors.dtype == np.float32
    assert vectors.shape == (7, encoder.dim)
    assert encoder.dim <= max(2, dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_shared_words_bring_texts_together() -> None:
    dog, other_dog, car = fit_text_encoder(params(128), "auto", TEXTS, 0).transform(
        ["dog runs", "The DOG  runs!", "a car"]
    )
    assert dog @ other_dog > 0.8
    assert dog @ car == pytest.approx(0, abs=1e-6)


def test_texts_without_a_known_word_are_like_each_other_and_nothing_else() -> None:
    zebra, empty, dog = fit_text_encoder(params(4), "auto", TEXTS, 0).transform(["zebra", "", "dog"])
    assert zebra @ empty == pytest.approx(1)
    assert zebra @ dog == pytest.approx(0, abs=1e-6)


def test_a_vocabulary_of_one_word() -> None:
    encoder = fit_text_encoder(params(128), "auto", ["dog"], 0)
    np.testing.assert_array_equal(encoder.transform(["dog", "cat"]), [[1, 0], [0, 1]])


def test_no_texts_to_embed() -> None:
    assert fit_text_encoder(params(4), "auto", TEXTS, 0).transform([]).shape == (0, 4)


@pytest.mark.parametrize("texts", [[], ["", "!"]])
def test_no_words_to_learn_is_an_error(texts: list[str]) -> None:
    with pytest.raises(EncoderError, match="hold no word"):
        fit_text_encoder(params(4), "auto", texts, 0)


def test_what_is_saved_is_what_is_loaded_byte_for_byte(tmp_path: Path) -> None:
    encoder = fit_text_encoder(params(4), "auto", TEXTS, 0)
    again = fit_text_encoder(params(4), "auto", [*reversed(TEXTS), TEXTS[0]], 0)
    encoder.save(tmp_path / "one")
    again.save(tmp_path / "two")
    for name in ("encoder.json", "tfidf.joblib"):
        content = (tmp_path / "one" / name).read_bytes()
        assert content == (tmp_path / "two" / name).read_bytes()
        assert id(None).to_bytes(6, "little") not in content  # an address in memory differs in every process
    loaded = load_text_encoder(params(4), "auto", tmp_path / "one")
    assert loaded.identity == encoder.identity
    np.testing.assert_array_equal(loaded.transform(TEXTS), encoder.transform(TEXTS))


def test_other_texts_are_another_encoder() -> None:
    one = fit_text_encoder(params(4), "auto", TEXTS, 0).identity
    assert one.key != fit_text_encoder(params(4), "auto", TEXTS[1:], 0).identity.key
    assert one.key != fit_text_encoder(params(3), "auto", TEXTS, 0).identity.key


def test_a_missing_or_damaged_model_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"tfidf.joblib: no such file.*dvc repro"):
        load_text_encoder(params(4), "auto", tmp_path)
    (tmp_path / "tfidf.joblib").write_bytes(b"hello")
    with pytest.raises(EncoderError, match=r"cannot be read.*dvc repro"):
        load_text_encoder(params(4), "auto", tmp_path)


def with_words(**settings: object) -> TfidfParams:
    return TfidfParams.model_validate(
        {"backend": "tfidf", "max_features": 100, "ngram_max": 2, "dim": None, **settings}
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "language", "texts", "alike", "other"),
    [
        ("lemmas", "english", ["the dogs were running", "a boat"], "A dog is running.", "two boats"),
        ("stems", "english", ["dogs jumping", "a boat"], "dog jumps", "boats"),
        ("lemmas", "russian", ["собаки бежали", "лодка"], "Собака бежит", "лодки"),
        ("stems", "russian", ["собаки в траве", "лодка"], "собака и трава", "лодки"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of spaCy's own
def test_forms_of_a_word_count_as_one(
    form: str, language: str, texts: list[str], alike: str, other: str, tmp_path: Path
) -> None:
    spec = with_words(words=form, language=language, stop_words=True)
    encoder = fit_text_encoder(spec, "auto", texts, 0)
    known, same, unlike = encoder.transform([texts[0], alike, other])
    assert known @ same > 0.7
    assert known @ unlike == pytest.approx(0, abs=1e-6)
    plain = fit_text_encoder(with_words(language=language), "auto", texts, 0)
    assert plain.transform([texts[0]])[0] @ plain.transform([alike])[0] < known @ same
    encoder.save(tmp_path)
    loaded = load_text_encoder(spec, "auto", tmp_path)
    assert loaded.identity == encoder.identity
    assert loaded.identity.preprocessing != plain.identity.preprocessing
    np.testing.assert_array_equal(loaded.transform([alike])[0], same)


def test_without_an_svd_a_vector_has_a_number_for_each_word() -> None:
    encoder = fit_text_encoder(with_words(ngram_max=1), "auto", ["dog runs", "dog sits"], 0)
    vectors = encoder.transform(["dog", "runs", "zebra"])
    assert encoder.dim == 4
    np.testing.assert_array_equal(vectors, np.eye(4)[[0, 1, 3]])


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nltk.stem.snowball", None)
    tokens._stems.cache_clear()
    with pytest.raises(EncoderError, match=r"stems wants .*kadr\[words\]"):
        fit_text_encoder(with_words(words="stems"), "auto", ["dog"], 0)
