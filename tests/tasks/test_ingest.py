"""Tests for stage ingest: tables from a dataset folder, counts of defects, and the error for unusable input."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from kadr.errors import InputError
from kadr.ingest.pipeline import ingest
from kadr.ingest.rejection import RejectedInputError
from kadr.ingest.validation import SUITES
from kadr.io.schemas import CAPTIONS, IMAGES, LEAKS, QUARANTINE, QUERIES, RATINGS, read_table
from kadr.params import CorpusParams, IngestParams, load_params
from kadr.project import PROJECT
from tasks import ingest as stage

N_TRAIN = 30
HEADER = ["img_id", "text", "rate_1", "rate_2", "rate_3", "crowd_rates"]


def params(source: Path | str, **changes: object) -> IngestParams:
    settings: dict[str, object] = {
        "source": str(source),
        "format": "auto",
        "corpus": None,
        "rating_scale": "auto",
        "max_bad_rows": 0.05,
        "max_bad_images": 0.05,
        "near_duplicate_bits": 4,
    }
    return IngestParams.model_validate(settings | changes)


def draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((96, 72), Image.Resampling.BICUBIC).save(path)


def train_rows() -> list[list[str]]:
    rng = np.random.default_rng(0)
    return [
        [f"{number:02d}.jpg", f"Text number {(number + step) % 25} .", *map(str, rng.integers(1, 5, 3)), "0.5"]
        for number in range(N_TRAIN)
        for step in range(4)
    ]


def write_csv(path: Path, rows: list[list[str]], separator: str = ",") -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=separator).writerows(rows)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    for number in range(N_TRAIN):
        draw(folder / "train_images" / f"{number:02d}.jpg", number)
    for number in range(3):
        draw(folder / "test_images" / f"t{number}.jpg", 100 + number)
        draw(folder / "corpus" / f"c{number}.jpg", 200 + number)
    write_csv(folder / "train_dataset.csv", [HEADER, *train_rows()])
    queries = [
        ["", "query_id", "query_text", "image"],
        *([str(n), f"t{n}.jpg#0", f"Test text {n}", f"t{n}.jpg"] for n in range(3)),
    ]
    write_csv(folder / "test_queries.csv", queries, "|")
    (folder / "captions.tsv").write_text(
        "".join(f"c{n}.jpg#{k}\tCaption {n} {k}\n" for n in range(3) for k in range(2))
    )
    return folder


CORPUS = CorpusParams(captions="captions.tsv", images="corpus")


def remove(name: str) -> Callable[[Path], None]:
    return lambda source: (source / name).rename(source.parent / "removed") and None


def write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda source: (source / name).write_bytes(content) and None


def header(*names: str) -> Callable[[Path], None]:
    return lambda source: write_csv(source / "train_dataset.csv", [list(names), *train_rows()])


def make_invalid_rows(source: Path) -> None:
    rows = [[*row[:2], "four", *row[3:]] if number < 10 else row for number, row in enumerate(train_rows())]
    write_csv(source / "train_dataset.csv", [HEADER, *rows])


def make_empty_images(source: Path) -> None:
    for number in range(3):
        (source / "train_images" / f"{number:02d}.jpg").write_bytes(b"")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove("train_images"), "train_images does not exist. It must contain the train images"),
        (remove("test_images"), "test_images does not exist. It must contain the test images"),
        (remove("train_dataset.csv"), "matches no known format"),
        (remove("captions.tsv"), r"captions\.tsv does not exist\. It must contain .*ingest\.corpus to null"),
        (remove("corpus"), "corpus does not exist. It must contain the corpus images"),
        (
            write("captions.tsv", b"x.jpg#0\tNo such image\n"),
            "none of the 1 captions belongs to a valid image in corpus",
        ),
        (header("img_id", "text", "a", "b", "c", "d"), "contains no rating columns"),
        (header("img_id", "words", *HEADER[2:]), "missing column text"),
        (
            write("train_dataset.csv", ",".join(HEADER).encode() + b"\n"),
            r"no ratings found in train_dataset\.csv",
        ),
        (
            write("train_dataset.csv", b"img_id,text,rate_1\n00.jpg,A dog,4,2\n"),
            r"data row 1 \(line 2\) has 4 columns, expected 3",
        ),
        (
            write("train_dataset.csv", "img_id,text,rate_1\n00.jpg,кот,1\n".encode()[:-4] + b"\n"),
            "line 2: the bytes d1 0a are not UTF-8, although most other letters are",
        ),
        (
            write("test_queries.csv", b"|id|text|image\n0|a|b|t0.jpg\n"),
            r"test_queries\.csv: missing column query_id",
        ),
        (
            lambda source: draw(source / "test_images" / "05.jpg", 5),
            r"train_images and test_images contain 1 identical images with the same name, such as 05\.jpg.*Remove",
        ),
    ],
)
def test_unusable_input_is_one_error(source: Path, project: Path, change: Callable[[Path], None], message: str) -> None:
    change(source)
    with pytest.raises(InputError, match=message):
        ingest(params(source, corpus=CORPUS), project / "expectations")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            make_invalid_rows,
            r"10 of 120 rating rows are invalid \(8\.3%\).*\n"
            r"  rating_not_a_number \(10\): train_dataset\.csv, row 1: rate_1 is 'four'; ",
        ),
        (
            make_empty_images,
            r"3 of 33 images are invalid \(9\.1%\).*\n"
            r"  empty_file \(3\): train_images/00\.jpg; train_images/01\.jpg; ",
        ),
    ],
)
def test_too_much_invalid_input_stops_the_run(
    source: Path, project: Path, change: Callable[[Path], None], message: str
) -> None:
    change(source)
    with pytest.raises(RejectedInputError, match=message):
        ingest(params(source), project / "expectations")


def test_an_uncertain_rating_scale_stops_the_run_until_it_is_set(source: Path, project: Path) -> None:
    rows = [[*row[:2], "7", *row[3:]] if number < 10 else row for number, row in enumerate(train_rows())]
    write_csv(source / "train_dataset.csv", [HEADER, *rows])
    with pytest.raises(InputError, match=r"scale of the expert ratings is uncertain.*Set ingest\.rating_scale"):
        ingest(params(source), project / "expectations")
    metrics = ingest(params(source, rating_scale=[1, 7]), project / "expectations").metrics
    assert metrics["rating_scales"]["expert"]["maximum"] == 7
    assert metrics["set_aside"]["row"] == {}


def test_input_without_a_valid_rating_is_an_error(source: Path, project: Path) -> None:
    write_csv(source / "train_dataset.csv", [HEADER, ["00.jpg", "A dog", "", "", "", ""]])
    with pytest.raises(InputError, match="none of the 1 rows has a valid rating"):
        ingest(params(source, max_bad_rows=1.0), project / "expectations")


@pytest.mark.slow
def test_every_defect_is_counted_and_quarantined(source: Path, project: Path) -> None:
    content = (source / "train_images" / "05.jpg").read_bytes()
    (source / "train_images" / "05.jpg").write_bytes(content[: len(content) // 2])
    draw(source / "test_images" / "again.png", 7)
    draw(source / "corpus" / "00.jpg", 300)
    with (source / "captions.tsv").open("a") as file:
        file.write("00.jpg#0\tA train image\n")
    rows = train_rows()
    rows[0][2] = "7"
    rows[4][1] = "  "
    rows[8][0] = "gone.jpg"
    write_csv(source / "train_dataset.csv", [HEADER, *rows, rows[12]])
    high_limits = {"max_bad_rows": 0.2, "max_bad_images": 0.2}
    result = ingest(params(source, corpus=CORPUS, **high_limits), project / "expectations")
    metrics = result.metrics
    assert metrics["photos"] == {
        "train": {"missing": 1, "ok": 29, "truncated": 1},
        "test": {"ok": 4},
        "corpus": {"image_in_train": 1, "ok": 3},
    }
    rules = {"duplicate_row": 1, "image_in_train": 1, "image_missing": 1, "image_set_aside": 4}
    assert metrics["set_aside"] == {
        "row": rules | {"rating_out_of_scale": 1, "text_empty": 1},
        "image": {"image_in_train": 1, "missing": 1, "truncated": 1},
    }
    assert (metrics["rating_rows"], metrics["rating_rows_set_aside"]) == (121, 8)
    assert metrics["ratings"] == {"crowd": 114, "expert": 341}
    assert metrics["expert_columns_are_persons"] is True
    near = metrics["near_duplicates"]
    assert isinstance(near, dict)
    assert near["train_test"] == {"n": 1, "first": [["07.jpg", "again.png"]]}
    assert [tuple(row.values()) for row in result.tables["leaks"].to_pylist()] == [
        ("photo", "train", "07.jpg", "test", "again.png", 0)
    ]
    quarantine = result.tables["quarantine"].to_pylist()
    assert {
        "file": "train_dataset.csv",
        "row": 9,
        "column": "img_id",
        "value": "gone.jpg",
        "rule": "image_missing",
        "kind": "row",
    } in quarantine
    assert {
        "file": "captions.tsv",
        "row": 7,
        "column": "caption_id",
        "value": "00.jpg",
        "rule": "image_in_train",
        "kind": "row",
    } in quarantine
    assert {
        "file": "train_images/05.jpg",
        "row": None,
        "column": None,
        "value": None,
        "rule": "truncated",
        "kind": "image",
    } in quarantine


def run_stage(
    folder: Path, project: Path, source: Path | str, corpus: CorpusParams | None
) -> subprocess.CompletedProcess[str]:
    """Run the stage in a new project folder, with the same command as DVC."""
    import yaml

    settings = yaml.safe_load((project / "params.yaml").read_text())
    settings["ingest"] = params(source, corpus=corpus).model_dump()
    folder.mkdir(exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(settings))
    if not (folder / "expectations").exists():
        (folder / "expectations").symlink_to(project / "expectations")
    return subprocess.run(
        [sys.executable, "-m", "tasks.ingest"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_second_run_writes_identical_files(tmp_path: Path, project: Path, source: Path) -> None:
    written = []
    for _ in range(2):
        done = run_stage(tmp_path / "run", project, "../raw", CORPUS)
        assert done.returncode == 0, done.stderr
        files = sorted(
            path for path in (tmp_path / "run").rglob("*") if path.is_file() and "expectations" not in path.parts
        )
        written.append({str(path.relative_to(tmp_path / "run")): path.read_bytes() for path in files})
    assert written[0] == written[1]
    tables = {
        PROJECT.images: (IMAGES, 33),
        PROJECT.corpus: (IMAGES, 3),
        PROJECT.queries: (QUERIES, 28),
        PROJECT.captions: (CAPTIONS, 6),
        PROJECT.ratings: (RATINGS, 480),
        PROJECT.quarantine: (QUARANTINE, 0),
        PROJECT.leaks: (LEAKS, 0),
    }
    pages = {f"reports/data_docs/{name}.html" for name in ("index", *SUITES)} | {"reports/data_docs/failed_rows.csv"}
    assert set(written[0]) == {"params.yaml", "metrics/ingest.json", *map(str, tables), *pages}
    for path, (schema, n) in tables.items():
        assert len(read_table(tmp_path / "run" / path, schema)) == n
    images = read_table(tmp_path / "run" / PROJECT.images, IMAGES)
    assert images["path"][0].as_py() == "../raw/train_images/00.jpg"
    assert json.loads(written[0]["metrics/ingest.json"])["format"] == "single_file"
    assert "Calculating Metrics" not in done.stderr


@pytest.mark.slow
def test_an_interrupted_run_keeps_the_former_files(
    tmp_path: Path, project: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "expectations").symlink_to(project / "expectations")
    settings = load_params(project / "params.yaml").model_copy(update={"ingest": params("raw", corpus=CORPUS)})
    stage.main(settings)

    def read_outputs() -> dict[str, bytes]:
        files = [path for name in ("data", "reports") for path in (tmp_path / name).rglob("*") if path.is_file()]
        return {str(path): path.read_bytes() for path in files}

    former = read_outputs()
    draw(source / "test_images" / "one_more.jpg", 500)
    write_complete = pq.write_table

    def write_half(table: pa.Table, path: Path, **settings: str) -> None:
        write_complete(table, path, **settings)
        path.write_bytes(path.read_bytes()[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(pq, "write_table", write_half)
    with pytest.raises(KeyboardInterrupt):
        stage.main(settings)
    assert read_outputs() == former
    monkeypatch.setattr(pq, "write_table", write_complete)
    (tmp_path / "reports" / "data_docs" / "from_a_previous_run.html").write_text("")
    stage.main(settings)
    changed = {path for path, content in read_outputs().items() if content != former.get(path)}
    pages = {str(tmp_path / PROJECT.data_docs / f"{name}.html") for name in ("index", *SUITES)}  # show the run's name
    assert changed - {str(tmp_path / PROJECT.data_docs / "failed_rows.csv")} == {str(tmp_path / PROJECT.images), *pages}


@pytest.mark.slow
def test_rejected_input_keeps_its_evidence_until_a_run_succeeds(
    tmp_path: Path, project: Path, source: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(project / "expectations", "expectations")
    suite = Path("expectations/images.json")
    text = suite.read_text()
    make_empty_images(source)
    settings = load_params(project / "params.yaml")

    def run(max_bad_images: float) -> None:
        limits = params("raw", max_bad_images=max_bad_images, max_bad_rows=0.2)
        stage.main(settings.model_copy(update={"ingest": limits}))

    def reject(max_bad_images: float, problem: str) -> set[str]:
        """Run the stage on input that it rejects, and return the names of the files that it keeps."""
        with pytest.raises(InputError, match=problem) as error:
            run(max_bad_images)
        assert str(error.value).endswith("reports/rejected_input/index.html shows all rejected rows and images.")
        assert error.value.evidence == (PROJECT.rejected_input,)
        assert not Path("data").exists()
        return {path.name for path in PROJECT.rejected_input.iterdir()}

    assert reject(0.05, "3 of 33 images are invalid") == {"index.html", "quarantine.csv", "failed_rows.csv"}
    with (PROJECT.rejected_input / "quarantine.csv").open(encoding="utf-8") as file:
        rejected = [(row["file"], row["row"], row["rule"]) for row in csv.DictReader(file)]
    assert ("train_images/02.jpg", "", "empty_file") in rejected
    assert ("train_dataset.csv", "1", "image_set_aside") in rejected

    suite.write_text(text.replace('"max_value": 0.95', '"max_value": 0.3').replace('"warning"', '"critical"'))
    assert "images.html" in reject(0.2, "images: Images are neither almost black .* such as image_id '03.jpg'")
    assert "img" in (PROJECT.rejected_input / "images.html").read_text(encoding="utf-8")

    suite.write_text(text.replace('"max_value": 0.95', '"max_value": 0.3'))
    run(0.2)
    assert not PROJECT.rejected_input.exists()
    assert "images: Images are neither almost black" in caplog.text
    assert "image_id '03.jpg' (0." in caplog.text
    assert "reports/data_docs/failed_rows.csv lists all rows" in caplog.text


@pytest.mark.slow
def test_cp1251_and_cyrillic_names_give_the_same_tables(source: Path, project: Path) -> None:
    image = (source / "train_images" / "00.jpg").rename(source / "train_images" / "Рыжий кот 1.JPG")
    rows = [
        [image.name if row[0] == "00.jpg" else row[0], f'Кот и мальчик под деревом, "номер" {row[1]}', *row[2:]]
        for row in train_rows()
    ]
    write_csv(source / "train_dataset.csv", [HEADER, *rows])
    utf8 = ingest(params(source), project / "expectations")
    text = (source / "train_dataset.csv").read_text(encoding="utf-8")
    (source / "train_dataset.csv").write_bytes(text.replace("\r\n", "\n").replace("\n", "\r\n").encode("cp1251"))
    cp1251 = ingest(params(source), project / "expectations")
    assert (utf8.metrics["encodings"], cp1251.metrics["encodings"]) == ({}, {"train_dataset.csv": "cp1251"})
    assert utf8.tables == cp1251.tables
    assert utf8.metrics["rating_rows_set_aside"] == 0
    assert 'Кот и мальчик под деревом, "номер" Text number 0 .' in utf8.tables["queries"]["text"].to_pylist()
    assert image.name in utf8.tables["ratings"]["image_id"].to_pylist()


@pytest.mark.slow
def test_names_in_other_forms_give_the_same_tables(source: Path, project: Path) -> None:
    (source / "train_images" / "more").mkdir()
    (source / "train_images" / "00.jpg").rename(source / "train_images" / "more" / "000.jpg")
    rows = train_rows()
    write_csv(
        source / "train_dataset.csv", [HEADER, *([row[0].replace("00.jpg", "more/000.jpg"), *row[1:]] for row in rows)]
    )
    exact = ingest(params(source), project / "expectations")
    names = ["http://e.org/{}?s=1", "train_images/{}", "C:\\data\\train_images\\{}", "{}.JPG"]
    changed = [[names[n % 4].format(row[0]), *row[1:]] for n, row in enumerate(rows)]
    write_csv(source / "train_dataset.csv", [HEADER, *([row[0].replace("00.jpg", "0"), *row[1:]] for row in changed)])
    for system_file in ("Thumbs.db", "@eaDir", "notes.txt"):
        (source / "train_images" / system_file).write_text("")
    other = ingest(params(source), project / "expectations")
    assert other.tables == exact.tables
    assert other.metrics["image_names"] == {"exact": 3, "folder": 58, "url": 29, "extension": 29, "leading_zeros": 4}
    assert other.metrics["passed_over"] == {"train_images": {"thumbnail cache": 2, ".txt": 1}, "test_images": {}}


def test_a_failed_stage_prints_the_error_and_writes_nothing(tmp_path: Path, project: Path) -> None:
    done = run_stage(tmp_path / "run", project, "nowhere", None)
    assert done.returncode == 1
    assert done.stderr.startswith("ingest: error: ingest.source: the folder nowhere does not exist")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "data").exists()


@pytest.mark.slow
def test_flickr8k_keeps_all_images_and_expert_ratings(shared: Path, project: Path) -> None:
    corpus = CorpusParams(captions="corpus_captions.tsv", images="corpus_images")
    result = ingest(params(shared / "flickr8k", format="flickr8k", corpus=corpus), project / "expectations")
    metrics = result.metrics
    assert metrics["photos"] == {"train": {"ok": 800}, "test": {"ok": 100}, "corpus": {"ok": 6000}}
    assert metrics["ratings"] == {"crowd": 29442, "expert": 3 * 3693}
    assert metrics["set_aside"] == {"row": {"query_text_unknown": 1085}, "image": {}}
    assert metrics["queries"] == {"test": 500, "train": 769}
    assert metrics["captions"] == 30000
    assert metrics["expert_columns_are_persons"] is False
    ratings = result.tables["ratings"]
    assert ratings["rater"].null_count == len(ratings)
