"""Stage ingest: whole folders in, tables out; every defect is counted or is one clear error."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from kadr.errors import InputError, TooManyBad
from kadr.ingest import ingest
from kadr.io.schemas import CAPTIONS, IMAGES, LEAKS, QUARANTINE, QUERIES, RATINGS, read_table
from kadr.params import CorpusParams, IngestParams, load_params
from kadr.project import PROJECT
from tasks import ingest as stage

N_TRAIN = 30
HEADER = ["img_id", "text", "rate_1", "rate_2", "rate_3", "crowd_rates"]


def params(source: Path | str, **changes: object) -> IngestParams:
    settings: dict[str, object] = {
        "source": str(source),
        "form": "auto",
        "corpus": None,
        "max_bad_rows": 0.05,
        "max_bad_images": 0.05,
        "max_pixels": 1_000_000,
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
        [f"{photo:02d}.jpg", f"Text number {(photo + step) % 25} .", *map(str, rng.integers(1, 5, 3)), "0.5"]
        for photo in range(N_TRAIN)
        for step in range(4)
    ]


def write_csv(path: Path, rows: list[list[str]], separator: str = ",") -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=separator).writerows(rows)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    for photo in range(N_TRAIN):
        draw(folder / "train_images" / f"{photo:02d}.jpg", photo)
    for photo in range(3):
        draw(folder / "test_images" / f"t{photo}.jpg", 100 + photo)
        draw(folder / "corpus" / f"c{photo}.jpg", 200 + photo)
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


def bad_rows(source: Path) -> None:
    rows = [[*row[:2], "7", *row[3:]] if number < 10 else row for number, row in enumerate(train_rows())]
    write_csv(source / "train_dataset.csv", [HEADER, *rows])


def bad_photos(source: Path) -> None:
    for photo in range(3):
        (source / "train_images" / f"{photo:02d}.jpg").write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (remove("train_images"), "train_images: no such folder, wanted the train photos"),
        (remove("test_images"), "test_images: no such folder, wanted the test photos"),
        (remove("train_dataset.csv"), "looks like no known form"),
        (remove("captions.tsv"), r"captions\.tsv: no such file, wanted .*ingest\.corpus to null"),
        (remove("corpus"), "corpus: no such folder, wanted the corpus photos"),
        (write("captions.tsv", b"x.jpg#0\tNo such photo\n"), "none of 1 captions is of a good photo in corpus"),
        (header("img_id", "text", "a", "b", "c", "d"), "no column of ratings"),
        (header("img_id", "words", *HEADER[2:]), "no column text"),
        (
            write("train_dataset.csv", ",".join(HEADER).encode() + b"\n"),
            r"train_dataset\.csv without a row, wanted ratings",
        ),
        (write("train_dataset.csv", b"img_id,text,rate_1\n00.jpg,A dog\n"), "data row 1 has 2 columns, wanted 3"),
        (write("train_dataset.csv", "img_id,text,rate_1\n00.jpg,кот,1\n".encode()[:-4] + b"\n"), "line 2 is not UTF-8"),
        (
            write("test_queries.csv", b"|id|text|image\n0|a|b|t0.jpg\n"),
            r"test_queries\.csv: no column query_id, query_text",
        ),
        (
            lambda source: draw(source / "test_images" / "05.jpg", 5),
            r"1 photos are in train_images and in test_images: 05\.jpg",
        ),
    ],
)
def test_unusable_input_is_one_clear_error(
    source: Path, project: Path, spoil: Callable[[Path], None], told: str
) -> None:
    spoil(source)
    with pytest.raises(InputError, match=told):
        ingest(params(source, corpus=CORPUS), project / "expectations")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            bad_rows,
            r"10 of 120 rating rows cannot be used \(8\.3%\).*\n"
            r"  rating_out_of_scale \(10\): train_dataset\.csv row 1, rate_1 '7'; ",
        ),
        (
            bad_photos,
            r"3 of 33 photos cannot be used \(9\.1%\).*\n"
            r"  empty_file \(3\): train_images/00\.jpg; train_images/01\.jpg; ",
        ),
    ],
)
def test_too_many_bad_stop_the_run(source: Path, project: Path, spoil: Callable[[Path], None], told: str) -> None:
    spoil(source)
    with pytest.raises(TooManyBad, match=told):
        ingest(params(source), project / "expectations")


def test_ratings_that_are_all_bad_are_no_ratings(source: Path, project: Path) -> None:
    write_csv(source / "train_dataset.csv", [HEADER, ["00.jpg", "A dog", "", "", "", ""]])
    with pytest.raises(InputError, match="no usable rating in 1 rows"):
        ingest(params(source, max_bad_rows=1.0), project / "expectations")


@pytest.mark.slow
def test_every_defect_is_counted_and_nothing_is_lost(source: Path, project: Path) -> None:
    content = (source / "train_images" / "05.jpg").read_bytes()
    (source / "train_images" / "05.jpg").write_bytes(content[: len(content) // 2])
    draw(source / "test_images" / "again.png", 7)
    draw(source / "corpus" / "00.jpg", 300)
    with (source / "captions.tsv").open("a") as file:
        file.write("00.jpg#0\tA train photo\n")
    rows = train_rows()
    rows[0][2] = "7"
    rows[4][1] = "  "
    rows[8][0] = "gone.jpg"
    write_csv(source / "train_dataset.csv", [HEADER, *rows, rows[12]])
    loose = {"max_bad_rows": 0.2, "max_bad_images": 0.2}
    ingested = ingest(params(source, corpus=CORPUS, **loose), project / "expectations")
    metrics = ingested.metrics
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
    assert [tuple(row.values()) for row in ingested.tables["leaks"].to_pylist()] == [
        ("photo", "train", "07.jpg", "test", "again.png", 0)
    ]
    quarantine = ingested.tables["quarantine"].to_pylist()
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
    """The stage as DVC starts it, in a folder of its own."""
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
def test_the_stage_writes_its_tables_and_a_second_run_the_same_bytes(
    tmp_path: Path, project: Path, source: Path
) -> None:
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
    pages = {f"reports/data_docs/{name}.html" for name in ("images", "corpus", "queries", "captions", "ratings")}
    assert set(written[0]) == {"params.yaml", "metrics/ingest.json", *map(str, tables), *pages}
    for path, (schema, n) in tables.items():
        assert len(read_table(tmp_path / "run" / path, schema)) == n
    images = read_table(tmp_path / "run" / PROJECT.images, IMAGES)
    assert images["path"][0].as_py() == "../raw/train_images/00.jpg"
    assert json.loads(written[0]["metrics/ingest.json"])["form"] == "single_file"
    assert "Calculating Metrics" not in done.stderr


@pytest.mark.slow
def test_an_interrupted_run_leaves_what_was_there_and_can_be_run_again(
    tmp_path: Path, project: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "expectations").symlink_to(project / "expectations")
    settings = load_params(project / "params.yaml").model_copy(update={"ingest": params("raw", corpus=CORPUS)})
    stage.main(settings)

    def written() -> dict[str, bytes]:
        files = [path for name in ("data", "reports") for path in (tmp_path / name).rglob("*") if path.is_file()]
        return {str(path): path.read_bytes() for path in files}

    before = written()
    draw(source / "test_images" / "one_more.jpg", 500)
    write_whole = pq.write_table

    def write_half(table: pa.Table, path: Path, **settings: str) -> None:
        write_whole(table, path, **settings)
        path.write_bytes(path.read_bytes()[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(pq, "write_table", write_half)
    with pytest.raises(KeyboardInterrupt):
        stage.main(settings)
    assert written() == before
    monkeypatch.setattr(pq, "write_table", write_whole)
    (tmp_path / "reports" / "data_docs" / "of_an_older_run.html").write_text("")
    stage.main(settings)
    assert {path for path, content in written().items() if content != before.get(path)} == {
        str(tmp_path / name) for name in (PROJECT.images, PROJECT.data_docs / "images.html")
    }


@pytest.mark.slow
def test_old_encodings_and_cyrillic_names_give_the_same_tables(source: Path, project: Path) -> None:
    photo = (source / "train_images" / "00.jpg").rename(source / "train_images" / "Рыжий кот 1.JPG")
    rows = [[photo.name if row[0] == "00.jpg" else row[0], f'Кот, "номер" {row[1]}', *row[2:]] for row in train_rows()]
    write_csv(source / "train_dataset.csv", [HEADER, *rows])
    new = ingest(params(source), project / "expectations")
    text = (source / "train_dataset.csv").read_text(encoding="utf-8")
    (source / "train_dataset.csv").write_bytes(text.replace("\r\n", "\n").replace("\n", "\r\n").encode("cp1251"))
    old = ingest(params(source), project / "expectations")
    assert (new.metrics["files_in_cp1251"], old.metrics["files_in_cp1251"]) == ([], ["train_dataset.csv"])
    assert new.tables == old.tables
    assert new.metrics["rating_rows_set_aside"] == 0
    assert 'Кот, "номер" Text number 0 .' in new.tables["queries"]["text"].to_pylist()
    assert photo.name in new.tables["ratings"]["image_id"].to_pylist()


def test_the_stage_says_what_is_wrong_and_writes_nothing(tmp_path: Path, project: Path) -> None:
    done = run_stage(tmp_path / "run", project, "nowhere", None)
    assert done.returncode == 1
    assert done.stderr.startswith("ingest: ingest.source: nowhere is not a folder")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "data").exists()


@pytest.mark.slow
def test_flickr8k_loses_no_expert_and_no_photo(shared: Path, project: Path) -> None:
    corpus = CorpusParams(captions="corpus_captions.tsv", images="corpus_images")
    ingested = ingest(params(shared / "flickr8k", form="flickr8k", corpus=corpus), project / "expectations")
    metrics = ingested.metrics
    assert metrics["photos"] == {"train": {"ok": 800}, "test": {"ok": 100}, "corpus": {"ok": 6000}}
    assert metrics["ratings"] == {"crowd": 29442, "expert": 3 * 3693}
    assert metrics["set_aside"] == {"row": {"query_text_unknown": 1085}, "image": {}}
    assert metrics["queries"] == {"test": 500, "train": 769}
    assert metrics["captions"] == 30000
    assert metrics["expert_columns_are_persons"] is False
    ratings = ingested.tables["ratings"]
    assert ratings["rater"].null_count == len(ratings)
