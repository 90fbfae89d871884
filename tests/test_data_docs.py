"""Check that the example files in docs/data.md can be read and that the page lists every validation rule."""

import re
from pathlib import Path

import pytest

from kadr.ingest.formats.base import read_test_queries
from kadr.ingest.formats.detection import detect_format, read_folder

PAGE = Path(__file__).parents[1] / "docs/data.md"


def example_files(name: str) -> dict[str, str]:
    """Return the example files of a format as a mapping from file name to content."""
    text = PAGE.read_text(encoding="utf-8")
    section = re.split(r"\n### |\n## ", text.split(f"### {name}\n", 1)[1])[0]
    return dict(re.findall(r"```csv (\S+)\n(.*?)```", section, re.DOTALL))


@pytest.mark.parametrize(("name", "n_files"), [("single_file", 1), ("flickr8k", 3), ("long", 1)])
def test_the_example_of_a_format_is_detected_and_read(name: str, n_files: int, tmp_path: Path) -> None:
    files = example_files(name)
    assert len(files) == n_files
    for file, content in files.items():
        (tmp_path / file).write_text(content, encoding="utf-8")
    assert detect_format(tmp_path, "auto") == name
    raw = read_folder(tmp_path, name)
    assert all(len(ratings.rows) for ratings in raw.ratings)
    rated = {query_id for ratings in raw.ratings for query_id in ratings.rows["query_id"]}
    assert rated == {query_id for queries in raw.queries for query_id in queries.rows["query_id"]}


def test_the_example_of_test_queries_is_read(tmp_path: Path) -> None:
    (content,) = re.findall(r"```csv test_queries.csv\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "test_queries.csv").write_text(content, encoding="utf-8")
    (queries,) = read_test_queries(tmp_path)
    assert queries.rows.values.tolist() == [["harbour.jpg#0", "Boats in a harbour", "harbour.jpg"]]


def test_every_validation_rule_is_documented() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in PAGE.parents[1].glob("kadr/ingest/**/*.py"))
    rules = set(re.findall(r'Rule\("(\w+)"', code)) | set(re.findall(r'quarantine_cells\(.*"(\w+)"\)', code))
    assert {"duplicate_row", "votes_invalid", "rating_out_of_scale"} <= rules
    text = PAGE.read_text(encoding="utf-8")
    assert sorted(rule for rule in rules if f"`{rule}`" not in text) == []
