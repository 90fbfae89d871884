"""Tests of batch scoring with fake encoders."""

from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from PIL import Image

from kadr.errors import InputError
from kadr.operations.scoring.batch_scoring import BatchScorer, score_pairs
from kadr.operations.scoring.scorer import Scorer
from tests.kadr.operations.scoring.fake_encoders import COLOURS, ColourImageEncoder, ColourNameEncoder


class Cosine:
    """Fake model that predicts the cosine similarity, counts the pairs, and fails after `max_calls` calls."""

    def __init__(self, max_calls: int = 1000) -> None:
        self.n_pairs, self.calls_left = 0, max_calls

    def predict(self, images: Any, texts: Any, image_rows: Any, text_rows: Any) -> np.ndarray:
        self.calls_left -= 1
        if self.calls_left < 0:
            raise KeyboardInterrupt
        self.n_pairs += len(image_rows)
        return np.einsum("nd,nd->n", images.vectors["a"][image_rows], texts.vectors["a"][text_rows]).astype(np.float64)


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Output folder for scores, next to three image files. Each part contains two pairs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kadr.operations.scoring.batch_scoring.PAIRS_PER_PART", 2)
    for name, colour in COLOURS.items():
        Image.new("RGB", (8, 6), colour).save(f"{name}.png")
    return tmp_path / "out"


def make_scorer(max_calls: int = 1000, digest: str = "model") -> BatchScorer:
    scorer = Scorer({"a": ColourImageEncoder()}, {"a": ColourNameEncoder()}, Cosine(max_calls))
    return BatchScorer(scorer, digest, "cache", "float32")


def write_pairs(*pairs: tuple[str | None, str | None], name: str = "pairs.parquet") -> str:
    rows = pd.DataFrame(pairs, columns=["photo", "text"], dtype="str")
    rows.to_parquet(name) if name.endswith("parquet") else rows.to_csv(name, index=False)
    return name


def read_scores(out: Path) -> dict[tuple[str, str], float]:
    rows = pd.read_parquet(out)
    return {(row.photo, row.text): round(row.relevance, 6) for row in rows.itertuples()}


PAIRS = [(f"{image}.png", text) for image in COLOURS for text in COLOURS]
EXPECTED = {(image, text): float(image == f"{text}.png") for image, text in PAIRS}


@pytest.mark.parametrize("name", ["pairs.parquet", "pairs.csv"])
def test_each_pair_is_scored_once(out: Path, name: str) -> None:
    scorer = make_scorer()
    assert score_pairs(write_pairs(*PAIRS[:5], PAIRS[0], name=name), out, scorer)["n_scored"] == 5
    assert read_scores(out) == {pair: EXPECTED[pair] for pair in PAIRS[:5]}
    summary = score_pairs(write_pairs(*reversed(PAIRS), name=name), out, scorer)
    assert (summary["n_scored"], summary["n_known"], summary["n_set_aside"]) == (4, 5, 0)
    assert read_scores(out) == EXPECTED
    assert scorer.scorer.model.n_pairs == 9


def test_parts_written_before_an_interrupt_are_kept(out: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        score_pairs(write_pairs(*PAIRS), out, make_scorer(max_calls=2))
    assert len(read_scores(out)) == 4
    scorer = make_scorer()
    assert score_pairs(write_pairs(*PAIRS), out, scorer)["n_known"] == 4
    assert scorer.scorer.model.n_pairs == 5
    assert read_scores(out) == EXPECTED
    assert not list(out.rglob("*.partial"))
    assert not (out / "_work").exists()


def test_another_model_scores_all_pairs_into_another_folder(out: Path) -> None:
    keys = [score_pairs(write_pairs(*PAIRS), out, make_scorer(digest=name))["model"] for name in ("a", "b", "a")]
    assert keys[0] == keys[2] != keys[1]
    assert pd.read_parquet(out).groupby("model").size().to_dict() == dict.fromkeys(keys, 9)


def test_a_changed_image_is_scored_again(out: Path) -> None:
    score_pairs(write_pairs(*PAIRS[:3]), out, make_scorer())
    Image.new("RGB", (9, 9), COLOURS["blue"]).save("red.png")
    assert score_pairs(write_pairs(*PAIRS[:3]), out, make_scorer())["n_scored"] == 3
    rows = pd.read_parquet(out)
    assert len(rows) == 6
    assert rows["sha256"].nunique() == 2


def test_invalid_rows_are_quarantined_with_a_reason(out: Path) -> None:
    Path("text.png").write_text("not an image")
    pairs = [PAIRS[0], ("none.png", "red"), (None, "red"), ("red.png", None), ("red.png", "  "), ("text.png", "red")]
    summary = score_pairs(write_pairs(*pairs), out, make_scorer())
    assert (summary["n_scored"], summary["n_set_aside"]) == (1, 5)
    quarantine = pd.read_parquet(out / "_quarantine.parquet")
    assert dict(zip(quarantine["row"], quarantine["reason"], strict=True)) == {
        2: "the image cannot be read: No such file or directory",
        3: "no photo",
        4: "no text",
        5: "no text",
        6: "the image cannot be decoded: not_an_image",
    }
    assert sum(summary["reasons"].values()) == 5
    assert score_pairs(write_pairs(PAIRS[0]), out, make_scorer())["n_set_aside"] == 0
    assert len(pd.read_parquet(out / "_quarantine.parquet")) == 0


def test_an_empty_table_has_no_scores(out: Path) -> None:
    assert score_pairs(write_pairs(), out, make_scorer())["n_scored"] == 0


def test_remote_tables_and_images_are_scored(out: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/photos/red.png", Path("red.png").read_bytes())
    write_pairs(("memory://photos/red.png", "red"), ("memory://photos/none.png", "red"))
    memory.pipe("/photos/pairs.parquet", Path("pairs.parquet").read_bytes())
    summary = score_pairs("memory://photos/pairs.parquet", out, make_scorer())
    assert (summary["n_scored"], summary["n_set_aside"]) == (1, 1)
    with pytest.raises(InputError, match=r"none\.parquet cannot be read"):
        score_pairs("memory://photos/none.parquet", out, make_scorer())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.parquet", None, "none.parquet cannot be read"),
        ("bad.parquet", "hello", "bad.parquet cannot be read"),
        ("pairs.doc", "{}", "Expected a table"),
        ("pairs.json", "{}", "pairs.json: the JSON file contains no table"),
        ("pairs.txt", "photo,words\na,b\n", "pairs.txt"),
        ("pairs.csv", "photo,text\na,b,c\n", "pairs.csv"),
    ],
)
def test_an_invalid_table_is_named(out: Path, name: str, content: str | None, message: str) -> None:
    if content is not None:
        Path(name).write_text(content)
    with pytest.raises(InputError, match=message):
        score_pairs(name, out, make_scorer())


def test_a_damaged_part_is_named_and_can_be_deleted(out: Path) -> None:
    score_pairs(write_pairs(*PAIRS), out, make_scorer())
    part = next(out.rglob("part-*.parquet"))
    part.write_bytes(b"half")
    with pytest.raises(InputError, match=rf"{part.name}.*Delete that file"):
        score_pairs(write_pairs(*PAIRS), out, make_scorer())
    part.unlink()
    score_pairs(write_pairs(*PAIRS), out, make_scorer())
    assert read_scores(out) == EXPECTED


def test_a_second_process_cannot_use_the_same_folder(out: Path) -> None:
    out.mkdir()
    with FileLock(out / "_lock"), pytest.raises(InputError, match="Another process is writing scores to"):
        score_pairs(write_pairs(*PAIRS), out, make_scorer())
