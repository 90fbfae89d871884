"""Stage aggregate: the table of ratings in, the table of relevance out."""

from pathlib import Path

import pyarrow as pa
import pytest

from kadr.errors import SchemaError
from kadr.params import load_params
from kadr.schemas import RATINGS, RELEVANCE, read_table, write_table
from tasks import aggregate, paths

COLUMNS = ["image_id", "query_id", "source", "rater", "rating", "scale_min", "scale_max", "votes"]
ROWS = [
    ("b.jpg", "t1", "expert", "rate_1", 4.0, 1.0, 4.0, 1),
    ("a.jpg", "t1", "expert", None, 1.0, 1.0, 4.0, 1),
    ("a.jpg", "t1", "crowd", None, 0.5, 0.0, 1.0, 3),
]


def test_ratings_become_relevance(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
    write_table(pa.Table.from_pylist(rows, schema=RATINGS), paths.RATINGS, RATINGS)
    params = load_params(project / "params.yaml")
    metrics = aggregate.main(params)
    relevance = read_table(paths.RELEVANCE, RELEVANCE).to_pylist()
    assert [(row["image_id"], row["n_expert"], row["n_crowd"], row["spread"]) for row in relevance] == [
        ("a.jpg", 1, 3, 0.25),
        ("b.jpg", 1, 0, None),
    ]
    assert relevance[0]["relevance"] == pytest.approx(
        params.aggregate.crowd_weight * 0.5 / (1 + params.aggregate.crowd_weight)
    )
    assert metrics["n_pairs"] == 2
    first = paths.RELEVANCE.read_bytes()
    aggregate.main(load_params(project / "params.yaml"))
    assert paths.RELEVANCE.read_bytes() == first


def test_without_ratings_the_stage_says_what_to_run(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SchemaError, match="Run `dvc repro`"):
        aggregate.main(load_params(project / "params.yaml"))
