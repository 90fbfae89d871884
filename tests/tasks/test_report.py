"""Tests for stage `report` in a small project, after the stages that write its inputs."""

from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image

from kadr.io.schemas import IMAGES, LEAKS, QUARANTINE, read_table, write_table
from kadr.io.text_files import write_json
from kadr.params import Params
from kadr.project import PROJECT
from kadr.report.data_uri import thumbnail_data_uri
from tasks import ablate, aggregate, evaluate, index, report, train

pytestmark = pytest.mark.slow


@pytest.fixture
def evaluated_project(small_project: Path, small_params: Params) -> Path:
    """Return the small project with images, a trained and evaluated model, and an index."""
    write_table(IMAGES.empty_table(), PROJECT.corpus, IMAGES)
    write_table(QUARANTINE.empty_table(), PROJECT.quarantine, QUARANTINE)
    leaks = [["photo", "train", "00.jpg", "test", "24.jpg", 2], ["text", "train", "00.jpg#0", "test", "24.jpg#0", None]]
    rows = [dict(zip(LEAKS.names, leak, strict=True)) for leak in leaks]
    write_table(pa.Table.from_pylist(rows, LEAKS), PROJECT.leaks, LEAKS)
    for number, path in enumerate(read_table(PROJECT.images, IMAGES)["path"].to_pylist()):
        Image.new("RGB", (32, 24), (8 * number, 100, 100)).save(path)
    write_json(PROJECT.metrics / "ingest.json", {"photos": {"train": {"ok": 24}, "test": {"ok": 6}}})
    write_json(PROJECT.metrics / "aggregate.json", aggregate.main(small_params))
    write_json(PROJECT.metrics / "train.json", train.train(small_params))
    write_json(PROJECT.metrics / "evaluate.json", evaluate.evaluate(small_params))
    write_json(PROJECT.metrics / "ablate.json", ablate.ablate(small_params))
    write_json(PROJECT.metrics / "index.json", index.index(small_params))
    return small_project


def test_the_reports_show_the_run_and_a_second_report_is_identical(
    evaluated_project: Path, small_params: Params
) -> None:
    metrics = report.report(small_params)
    html = PROJECT.report.read_text(encoding="utf-8")
    ratings_html = PROJECT.ratings_report.read_text(encoding="utf-8")
    assert metrics == {"bytes": PROJECT.report.stat().st_size}
    for text in (
        "kadr: sample",
        "24 train, 6 test",
        "Predictions by expert rating",
        "recall@5",
        "Largest errors",
        "model − cosine",
        "Embeddings only",
        "rated by experts",
        "SHAP values",
        "test: 24.jpg",
        "2 of 64 bits",
    ):
        assert text in html, text
    for text in ("kadr: ratings of sample", "Uncertainty of the relevance", "3 of 3 yes", "Rate next"):
        assert text in ratings_html, text
    assert html.count("“text ") == 6
    assert html.count('class="target"') == 6
    report.report(small_params)
    assert PROJECT.report.read_text(encoding="utf-8") == html
    assert PROJECT.ratings_report.read_text(encoding="utf-8") == ratings_html
    assert list(PROJECT.report.parent.glob(".*")) == []


def test_searches_without_reranking_show_cosines(evaluated_project: Path, small_params: Params) -> None:
    params = small_params.model_copy(update={"index": small_params.index.model_copy(update={"rerank": 0})})
    report.report(params)
    html = PROJECT.report.read_text(encoding="utf-8")
    assert "1. cosine " in html
    assert "1. relevance " not in html


def test_a_missing_image_does_not_stop_the_report(evaluated_project: Path, small_params: Params) -> None:
    report.report(small_params)
    complete = PROJECT.report.read_text(encoding="utf-8")
    for path in evaluated_project.glob("*.jpg"):
        path.unlink()
    report.report(small_params)
    with_placeholders = PROJECT.report.read_text(encoding="utf-8")
    assert thumbnail_data_uri("none.jpg") in with_placeholders
    assert thumbnail_data_uri("none.jpg") not in complete
