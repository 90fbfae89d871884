"""Stage report on a small project, after the stages whose files it reads."""

from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image

from kadr.errors import InputError
from kadr.io.schemas import IMAGES, LEAKS, QUARANTINE, read_table, write_table
from kadr.io.text_files import write_json
from kadr.params import Params
from kadr.project import PROJECT
from tasks import ablate, aggregate, evaluate, index, report, train

pytestmark = pytest.mark.slow


@pytest.fixture
def judged_project(small_project: Path, small_params: Params) -> Path:
    """The small project with photos, trained, judged and indexed."""
    write_table(IMAGES.empty_table(), PROJECT.corpus, IMAGES)
    write_table(QUARANTINE.empty_table(), PROJECT.quarantine, QUARANTINE)
    twins = [["photo", "train", "00.jpg", "test", "24.jpg", 2], ["text", "train", "00.jpg#0", "test", "24.jpg#0", None]]
    write_table(
        pa.Table.from_pylist([dict(zip(LEAKS.names, row, strict=True)) for row in twins], LEAKS), PROJECT.leaks, LEAKS
    )
    for number, path in enumerate(read_table(PROJECT.images, IMAGES)["path"].to_pylist()):
        Image.new("RGB", (32, 24), (8 * number, 100, 100)).save(path)
    photos = {"train": {"ok": 24}, "test": {"ok": 6}}
    write_json(PROJECT.metrics / "ingest.json", {"photos": photos})
    write_json(PROJECT.metrics / "aggregate.json", aggregate.main(small_params))
    write_json(PROJECT.metrics / "train.json", train.train(small_params))
    write_json(PROJECT.metrics / "evaluate.json", evaluate.evaluate(small_params))
    write_json(PROJECT.metrics / "ablate.json", ablate.ablate(small_params))
    write_json(PROJECT.metrics / "index.json", index.stage(small_params))
    return small_project


def test_the_page_shows_the_run_and_is_the_same_twice(judged_project: Path, small_params: Params) -> None:
    metrics = report.stage(small_params)
    html = PROJECT.report.read_text(encoding="utf-8")
    assert metrics == {"bytes": PROJECT.report.stat().st_size}
    for wanted in (
        "kadr: sample",
        "24 train, 6 test",
        "Score by rating",
        "recall@5",
        "Farthest from people",
        "model − cosine",
        "text and photo",
        "rated by experts",
        "What moves a prediction",
        "test: 24.jpg",
        "2 of 64 bits",
    ):
        assert wanted in html, wanted
    ratings = PROJECT.ratings_report.read_text(encoding="utf-8")
    for wanted in ("kadr: ratings of sample", "Posterior width", "3 of 3 yes", "Rate next"):
        assert wanted in ratings, wanted
    assert html.count("“text ") == 6
    assert html.count('class="right"') == 6
    report.stage(small_params)
    assert PROJECT.report.read_text(encoding="utf-8") == html
    assert list(PROJECT.report.parent.glob(".*")) == []


def test_without_reranking_no_model_is_asked(judged_project: Path, small_params: Params) -> None:
    params = small_params.model_copy(update={"index": small_params.index.model_copy(update={"rerank": 0})})
    report.stage(params)
    html = PROJECT.report.read_text(encoding="utf-8")
    assert "1. cosine " in html
    assert "1. relevance " not in html


def test_a_lost_photo_is_named(judged_project: Path, small_params: Params) -> None:
    for path in judged_project.glob("*.jpg"):
        path.unlink()
    with pytest.raises(InputError, match=r"\.jpg: cannot show the photo"):
        report.stage(small_params)
