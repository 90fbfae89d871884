"""Check that the example files and the commands in docs/data.md work, and that the page lists every validation rule."""

import json
import re
import shutil
import tarfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from kadr.ingest.captions.caption_detection import read_captions
from kadr.ingest.formats.base import read_test_queries
from kadr.ingest.formats.detection import detect_format, read_folder
from tests.test_docs import run_in

PAGE = Path(__file__).parents[1] / "docs/data.md"


def read_section(heading: str) -> str:
    """Return the text below a heading."""
    text = PAGE.read_text(encoding="utf-8")
    return re.split(r"\n##+ ", text.split(f"{heading}\n", 1)[1])[0]


def example_files(section: str) -> list[tuple[str, str]]:
    """Return the name and the content of each example file in a section."""
    return re.findall(r"```(?:csv|json) (\S+)\n(.*?)```", section, re.DOTALL)


FORMATS = [("single_file", 1), ("flickr8k", 3), ("long", 1), ("label_studio", 1), ("crisscrossed", 2), ("thumb", 1)]


@pytest.mark.parametrize(("name", "n_files"), FORMATS)
def test_the_example_of_a_format_is_detected_and_read(name: str, n_files: int, tmp_path: Path) -> None:
    files = example_files(read_section(f"### {name}"))
    assert len(files) == n_files
    for file, content in files:
        (tmp_path / file).write_text(content, encoding="utf-8")
    assert detect_format(tmp_path, "auto") == name
    raw = read_folder(tmp_path, name)
    assert all(len(ratings.rows) for ratings in raw.ratings)
    rated = {query_id for ratings in raw.ratings for query_id in ratings.rows["query_id"]}
    assert rated == {query_id for queries in raw.queries for query_id in queries.rows["query_id"]}


def test_the_example_of_test_queries_is_read(tmp_path: Path) -> None:
    ((_, content),) = example_files(read_section("### Test split and corpus"))
    (tmp_path / "test_queries.csv").write_text(content, encoding="utf-8")
    (queries,) = read_test_queries(tmp_path)
    assert queries.rows.values.tolist() == [["harbour.jpg#0", "Boats in a harbour", "harbour.jpg"]]


def test_the_examples_of_captions_contain_the_same_captions(tmp_path: Path) -> None:
    files = example_files(read_section("## Captions"))
    assert len(files) == 7
    for file, content in files:
        (tmp_path / file).write_text(content, encoding="utf-8")
        assert read_captions(tmp_path / file).rows[["image_id", "caption_id", "text"]].values.tolist() == [
            ["beach.jpg", "beach.jpg#0", "Two dogs on a beach"],
            ["beach.jpg", "beach.jpg#1", "Sand, water and two dogs"],
        ]


def draw(folder: Path, n: int, prefix: str = "") -> list[str]:
    """Draw images of one colour, and return their names."""
    folder.mkdir(parents=True)
    names = [f"{prefix}{k:012d}.jpg" for k in range(n)]
    for k, name in enumerate(names):
        Image.new("RGB", (32, 24), (k * 9 % 256, k * 31 % 256, 90)).save(folder / name)
    return names


@pytest.fixture
def own_data(tmp_path: Path, project: Path) -> Path:
    """Return a project folder with the files that the first table of the page names."""
    for name in ("params.yaml", "presets"):
        (shutil.copytree if (project / name).is_dir() else shutil.copy)(project / name, tmp_path / name)
    names = draw(tmp_path / "photos", 15)
    pd.DataFrame({"photo": names, "caption": [f"Caption {k}" for k in range(15)]}).to_csv(
        tmp_path / "captions.csv", index=False
    )
    names = draw(tmp_path / "val2014", 15, "COCO_val2014_")
    coco = {
        "images": [{"id": k, "file_name": name} for k, name in enumerate(names)],
        "annotations": [{"id": k, "image_id": k, "caption": f"Caption {k}"} for k in range(15)],
    }
    (tmp_path / "captions_val2014.json").write_text(json.dumps(coco))
    shutil.copytree(tmp_path / "photos", tmp_path / "remote" / "train_images")
    images = [{"bytes": path.read_bytes(), "path": path.name} for path in sorted((tmp_path / "photos").iterdir())]
    table = pa.table({"image": images, "caption": [["A", "B"]] * 15})
    for folder in ("flickr30k", "saved", "shards"):
        (tmp_path / folder).mkdir()
    pq.write_table(table, tmp_path / "flickr30k" / "train-00000-of-00001.parquet")
    with pa.ipc.new_stream(str(tmp_path / "saved" / "data-00000-of-00001.arrow"), table.schema) as writer:
        writer.write_table(table)
    with tarfile.open(tmp_path / "shards" / "00000.tar", "w") as archive:
        archive.add(tmp_path / "photos", arcname=".")
    return tmp_path


@pytest.mark.slow
def test_the_commands_of_the_first_table_run(own_data: Path, project: Path) -> None:
    rows = re.findall(r"(?m)^\|[^|]*\| `(kadr [^`]+)`", read_section("## What you have, what to type"))
    commands = [command for command in rows if not command.startswith("kadr index")]  # docs/start.md tests this command
    assert len(commands) == 7
    for command in commands:
        shutil.rmtree(own_data / "data", ignore_errors=True)
        output = run_in(own_data, project, command)
        if command.startswith("kadr import captions"):
            assert "training images" in output
            assert len(list((own_data / "data/raw/mine").rglob("*.jpg"))) == 15
        elif command.startswith("kadr import dataset"):
            (folder,) = (own_data / "data/raw").iterdir()
            assert len(list((folder / "images").iterdir())) == 15, output


def test_every_validation_rule_is_documented() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in PAGE.parents[1].glob("kadr/ingest/**/*.py"))
    rules = set(re.findall(r'Rule\("(\w+)"', code)) | set(re.findall(r'quarantine_cells\(.*"(\w+)"\)', code))
    assert {"duplicate_row", "votes_invalid", "rating_out_of_scale"} <= rules
    text = PAGE.read_text(encoding="utf-8")
    assert sorted(rule for rule in rules if f"`{rule}`" not in text) == []
