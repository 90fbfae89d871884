"""docs/data.md: each file that it shows is read as it says, and its rules are those of the code."""

import re
from pathlib import Path

import pytest

from kadr.ingest.formats.registry import choose_form, read_form
from kadr.ingest.test_split import read_test_queries

PAGE = Path(__file__).parents[1] / "docs/data.md"


def shown(form: str) -> dict[str, str]:
    """The files that the page shows under **form**, up to the next form or heading."""
    text = PAGE.read_text(encoding="utf-8")
    part = re.split(r"\n\*\*|\n## |\nAll forms", text.split(f"**{form}**", 1)[1])[0]
    return dict(re.findall(r"```csv (\S+)\n(.*?)```", part, re.DOTALL))


@pytest.mark.parametrize(("form", "n_files"), [("single_file", 1), ("flickr8k", 3), ("long", 1)])
def test_a_shown_form_is_recognised_and_read(form: str, n_files: int, tmp_path: Path) -> None:
    files = shown(form)
    assert len(files) == n_files
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    assert choose_form(tmp_path, "auto") == form
    raw = read_form(tmp_path, form)
    assert all(len(ratings.rows) for ratings in raw.ratings)
    rated = {query_id for ratings in raw.ratings for query_id in ratings.rows["query_id"]}
    assert rated == {query_id for queries in raw.queries for query_id in queries.rows["query_id"]}


def test_the_shown_test_queries_are_read(tmp_path: Path) -> None:
    (content,) = re.findall(r"```csv test_queries.csv\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "test_queries.csv").write_text(content, encoding="utf-8")
    (queries,) = read_test_queries(tmp_path)
    assert queries.rows.values.tolist() == [["harbour.jpg#0", "Boats in a harbour", "harbour.jpg"]]


def test_every_rule_of_rows_is_explained() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in PAGE.parents[1].glob("kadr/ingest/**/*.py"))
    rules = set(re.findall(r'Rule\("(\w+)"', code)) | set(re.findall(r'quarantined\(.*"(\w+)"\)', code))
    assert {"duplicate_row", "votes_invalid", "rating_out_of_scale"} <= rules
    text = PAGE.read_text(encoding="utf-8")
    assert sorted(rule for rule in rules if f"`{rule}`" not in text) == []
