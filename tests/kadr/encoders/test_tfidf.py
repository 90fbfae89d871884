"""TF-IDF vectors, tokenization, and reproducible files."""

import sys
from pathlib import Path

import numpy as np
import pytest

from kadr.encoders import fit_text_encoder, load_text_encoder, tokenizer
from kadr.encoders.tfidf import TfidfParams
from kadr.errors import EncoderError

TEXTS = ["a dog runs", "a dog sits on grass", "the red car", "a blue boat on water", "a red boat"]


def tfidf_params(dim: int | None = None, **settings: object) -> TfidfParams:
    values = {"backend": "tfidf", "max_features": 100, "ngram_max": 2, "dim": dim, **settings}
    return TfidfParams.model_validate(values)


@pytest.mark.parametrize("dim", [1, 2, 4, 128])
def test_vectors_have_unit_norm_and_at_most_dim_numbers(dim: int) -> None:
    encoder = fit_text_encoder(tfidf_params(dim), "auto", TEXTS, 0)
    vectors = encoder.transform([*TEXTS, "zebra", ""])
    assert vectors.dtype == np.float32
    assert vectors.shape == (7, encoder.dim)
    assert encoder.dim <= max(2, dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_texts_with_common_words_are_near() -> None:
    encoder = fit_text_encoder(tfidf_params(128), "auto", TEXTS, 0)
    dog, other_dog, car = encoder.transform(["dog runs", "The DOG  runs!", "a car"])
    assert dog @ other_dog > 0.8
    assert dog @ car == pytest.approx(0, abs=1e-6)


def test_texts_without_known_words_equal_each_other_and_are_orthogonal_to_the_rest() -> None:
    zebra, empty, dog = fit_text_encoder(tfidf_params(4), "auto", TEXTS, 0).transform(["zebra", "", "dog"])
    assert zebra @ empty == pytest.approx(1)
    assert zebra @ dog == pytest.approx(0, abs=1e-6)


def test_a_vocabulary_of_one_word() -> None:
    encoder = fit_text_encoder(tfidf_params(128), "auto", ["dog"], 0)
    np.testing.assert_array_equal(encoder.transform(["dog", "cat"]), [[1, 0], [0, 1]])


def test_an_empty_list_returns_an_empty_array() -> None:
    assert fit_text_encoder(tfidf_params(4), "auto", TEXTS, 0).transform([]).shape == (0, 4)


@pytest.mark.parametrize("texts", [[], ["", "!"]])
def test_training_texts_without_words_are_an_error(texts: list[str]) -> None:
    with pytest.raises(EncoderError, match="contain no words"):
        fit_text_encoder(tfidf_params(4), "auto", texts, 0)


def test_saved_files_are_identical_for_the_same_texts_and_load_again(tmp_path: Path) -> None:
    encoder = fit_text_encoder(tfidf_params(4), "auto", TEXTS, 0)
    same_texts = fit_text_encoder(tfidf_params(4), "auto", [*reversed(TEXTS), TEXTS[0]], 0)
    encoder.save(tmp_path / "first")
    same_texts.save(tmp_path / "second")
    for name in ("encoder.json", "tfidf.joblib"):
        content = (tmp_path / "first" / name).read_bytes()
        assert content == (tmp_path / "second" / name).read_bytes()
        assert id(None).to_bytes(6, "little") not in content  # memory addresses differ between processes
    loaded = load_text_encoder(tfidf_params(4), "auto", tmp_path / "first")
    assert loaded.identity == encoder.identity
    np.testing.assert_array_equal(loaded.transform(TEXTS), encoder.transform(TEXTS))


def test_the_saved_file_depends_on_no_class_of_kadr(tmp_path: Path) -> None:
    """Renaming a class must not make the saved encoders of a champion model unreadable."""
    fit_text_encoder(tfidf_params(4), "auto", TEXTS, 0).save(tmp_path)
    assert b"kadr" not in (tmp_path / "tfidf.joblib").read_bytes()


def test_other_texts_or_settings_have_another_cache_key() -> None:
    key = fit_text_encoder(tfidf_params(4), "auto", TEXTS, 0).identity.key
    assert key != fit_text_encoder(tfidf_params(4), "auto", TEXTS[1:], 0).identity.key
    assert key != fit_text_encoder(tfidf_params(3), "auto", TEXTS, 0).identity.key


def test_a_missing_or_damaged_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"tfidf.joblib does not exist.*dvc repro"):
        load_text_encoder(tfidf_params(4), "auto", tmp_path)
    (tmp_path / "tfidf.joblib").write_bytes(b"hello")
    with pytest.raises(EncoderError, match=r"cannot be read.*dvc repro"):
        load_text_encoder(tfidf_params(4), "auto", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "language", "texts", "same_words", "other_words"),
    [
        ("lemmas", "english", ["the dogs were running", "a boat"], "A dog is running.", "two boats"),
        ("stems", "english", ["dogs jumping", "a boat"], "dog jumps", "boats"),
        ("lemmas", "russian", ["собаки бежали", "лодка"], "Собака бежит", "лодки"),
        ("stems", "russian", ["собаки в траве", "лодка"], "собака и трава", "лодки"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # raised by spaCy
def test_inflected_forms_of_a_word_are_counted_together(
    words: str, language: str, texts: list[str], same_words: str, other_words: str, tmp_path: Path
) -> None:
    params = tfidf_params(words=words, language=language, stop_words=True)
    encoder = fit_text_encoder(params, "auto", texts, 0)
    known, same, other = encoder.transform([texts[0], same_words, other_words])
    assert known @ same > 0.7
    assert known @ other == pytest.approx(0, abs=1e-6)
    as_is = fit_text_encoder(tfidf_params(language=language), "auto", texts, 0)
    assert as_is.transform([texts[0]])[0] @ as_is.transform([same_words])[0] < known @ same
    encoder.save(tmp_path)
    loaded = load_text_encoder(params, "auto", tmp_path)
    assert loaded.identity == encoder.identity
    assert loaded.identity.preprocessing != as_is.identity.preprocessing
    np.testing.assert_array_equal(loaded.transform([same_words])[0], same)


def test_without_svd_a_vector_has_one_number_per_word() -> None:
    encoder = fit_text_encoder(tfidf_params(ngram_max=1), "auto", ["dog runs", "dog sits"], 0)
    vectors = encoder.transform(["dog", "runs", "zebra"])
    assert encoder.dim == 4
    np.testing.assert_array_equal(vectors, np.eye(4)[[0, 1, 3]])


def test_a_missing_library_is_named_with_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nltk.stem.snowball", None)
    tokenizer._stemmer.cache_clear()
    with pytest.raises(EncoderError, match=r"words: stems needs .*kadr\[words\]"):
        fit_text_encoder(tfidf_params(words="stems"), "auto", ["dog"], 0)


def test_missing_scikit_learn_is_named_with_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.decomposition", None)
    with pytest.raises(EncoderError, match=r"tfidf needs .*kadr\[relevance\]"):
        fit_text_encoder(tfidf_params(), "auto", ["dog"], 0)
