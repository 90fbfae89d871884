"""Batch scoring on fake encoders: each pair once for each model, parts kept, bad rows set aside with their reason."""

from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from PIL import Image

from kadr.encoders import Identity, ImageEncoder
from kadr.errors import InputError
from kadr.operations.scoring import BatchScorer, score_pairs
from kadr.operations.scoring.scorer import Scorer

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class Colours(ImageEncoder):
    """A photo's mean colour."""

    identity = Identity("colours", "a", "b", "c", "fp32")
    dim = 3
    side = 8

    def prepare(self, image: Image.Image) -> np.ndarray:
        return np.asarray(image, dtype=np.float32).mean(axis=(0, 1)).reshape(3, 1, 1)

    def encode(self, photos: list[np.ndarray]) -> np.ndarray:
        vectors = np.stack(photos).reshape(-1, 3)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Words:
    """A text's colour by its name."""

    identity = Identity("words", "a", "b", "c", "fp32")
    dim = 3

    def transform(self, texts: list[str]) -> np.ndarray:
        return np.array([COLOURS[text] for text in texts], dtype=np.float32).reshape(-1, 3) / 255


class Cosine:
    """The cosine as the relevance; it counts the pairs, and fails after `lives` of its calls."""

    def __init__(self, lives: int = 1000) -> None:
        self.n_pairs, self.lives = 0, lives

    def predict(self, images: Any, texts: Any, image_rows: Any, text_rows: Any) -> np.ndarray:
        self.lives -= 1
        if self.lives < 0:
            raise KeyboardInterrupt
        self.n_pairs += len(image_rows)
        return np.einsum("nd,nd->n", images.vectors["a"][image_rows], texts.vectors["a"][text_rows]).astype(np.float64)


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where scores go; three photos beside it, and at most two pairs in memory at once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kadr.operations.scoring.batch.PART", 2)
    for name, colour in COLOURS.items():
        Image.new("RGB", (8, 6), colour).save(f"{name}.png")
    return tmp_path / "out"


def scorer(lives: int = 1000, digest: str = "model") -> BatchScorer:
    return BatchScorer(Scorer({"a": Colours()}, {"a": Words()}, Cosine(lives)), digest, "cache", "float32")


def table(*pairs: tuple[str | None, str | None], name: str = "pairs.parquet") -> str:
    rows = pd.DataFrame(pairs, columns=["photo", "text"], dtype="str")
    rows.to_parquet(name) if name.endswith("parquet") else rows.to_csv(name, index=False)
    return name


def scores(out: Path) -> dict[tuple[str, str], float]:
    rows = pd.read_parquet(out)
    return {(row.photo, row.text): round(row.relevance, 6) for row in rows.itertuples()}


ALL = [(f"{photo}.png", text) for photo in COLOURS for text in COLOURS]
TRUE = {(photo, text): float(photo == f"{text}.png") for photo, text in ALL}


@pytest.mark.parametrize("name", ["pairs.parquet", "pairs.csv"])
def test_each_pair_is_scored_once(out: Path, name: str) -> None:
    by = scorer()
    assert score_pairs(table(*ALL[:5], ALL[0], name=name), out, by)["n_scored"] == 5
    assert scores(out) == {pair: TRUE[pair] for pair in ALL[:5]}
    counts = score_pairs(table(*reversed(ALL), name=name), out, by)
    assert (counts["n_scored"], counts["n_known"], counts["n_set_aside"]) == (4, 5, 0)
    assert scores(out) == TRUE
    assert by.scorer.model.n_pairs == 9


def test_what_was_written_before_an_interrupt_stays(out: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        score_pairs(table(*ALL), out, scorer(lives=2))
    assert len(scores(out)) == 4
    again = scorer()
    assert score_pairs(table(*ALL), out, again)["n_known"] == 4
    assert again.scorer.model.n_pairs == 5
    assert scores(out) == TRUE
    assert not list(out.rglob("*.partial"))
    assert not (out / "_work").exists()


def test_another_model_scores_anew_and_says_which_it_was(out: Path) -> None:
    keys = [score_pairs(table(*ALL), out, scorer(digest=digest))["model"] for digest in ("one", "two", "one")]
    assert keys[0] == keys[2] != keys[1]
    assert pd.read_parquet(out).groupby("model").size().to_dict() == dict.fromkeys(keys, 9)


def test_a_photo_that_changed_is_scored_anew(out: Path) -> None:
    score_pairs(table(*ALL[:3]), out, scorer())
    Image.new("RGB", (9, 9), COLOURS["blue"]).save("red.png")
    assert score_pairs(table(*ALL[:3]), out, scorer())["n_scored"] == 3
    rows = pd.read_parquet(out)
    assert len(rows) == 6
    assert rows["sha256"].nunique() == 2


def test_bad_rows_are_set_aside_with_their_reason(out: Path) -> None:
    Path("text.png").write_text("no photo")
    pairs = [ALL[0], ("none.png", "red"), (None, "red"), ("red.png", None), ("red.png", "  "), ("text.png", "red")]
    counts = score_pairs(table(*pairs), out, scorer())
    assert (counts["n_scored"], counts["n_set_aside"]) == (1, 5)
    aside = pd.read_parquet(out / "_quarantine.parquet")
    assert dict(zip(aside["row"], aside["reason"], strict=True)) == {
        2: "the photo cannot be read: No such file or directory",
        3: "no photo",
        4: "no text",
        5: "no text",
        6: "the photo does not decode: unreadable",
    }
    assert sum(counts["reasons"].values()) == 5
    assert score_pairs(table(ALL[0]), out, scorer())["n_set_aside"] == 0
    assert len(pd.read_parquet(out / "_quarantine.parquet")) == 0


def test_an_empty_table(out: Path) -> None:
    assert score_pairs(table(), out, scorer())["n_scored"] == 0


def test_a_table_and_photos_at_an_address(out: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/photos/red.png", Path("red.png").read_bytes())
    table(("memory://photos/red.png", "red"), ("memory://photos/none.png", "red"))
    memory.pipe("/photos/pairs.parquet", Path("pairs.parquet").read_bytes())
    counts = score_pairs("memory://photos/pairs.parquet", out, scorer())
    assert (counts["n_scored"], counts["n_set_aside"]) == (1, 1)
    with pytest.raises(InputError, match=r"none\.parquet: cannot be read"):
        score_pairs("memory://photos/none.parquet", out, scorer())


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.parquet", None, "No files found"),
        ("bad.parquet", "hello", "bad.parquet: cannot be read"),
        ("pairs.txt", "photo,words\na,b\n", "no column text"),
        ("pairs.csv", "photo,text\na,b,c\n", "data row 1 has 3 columns, wanted 2"),
        ("pairs.json", "{}", "wanted Parquet"),
    ],
)
def test_no_table_of_pairs(out: Path, name: str, content: str | None, said: str) -> None:
    if content is not None:
        Path(name).write_text(content)
    with pytest.raises(InputError, match=said):
        score_pairs(name, out, scorer())


def test_a_damaged_part_is_named(out: Path) -> None:
    score_pairs(table(*ALL), out, scorer())
    part = next(out.rglob("part-*.parquet"))
    part.write_bytes(b"half")
    with pytest.raises(InputError, match=rf"{part.name}.*delete that file: its pairs are scored anew"):
        score_pairs(table(*ALL), out, scorer())
    part.unlink()
    score_pairs(table(*ALL), out, scorer())
    assert scores(out) == TRUE


def test_two_at_once_are_refused(out: Path) -> None:
    out.mkdir()
    with FileLock(out / "_lock"), pytest.raises(InputError, match="another process is scoring into it"):
        score_pairs(table(*ALL), out, scorer())
