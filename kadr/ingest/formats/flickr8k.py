"""The ingest part's form `flickr8k`: ratings in two files of Annotations, texts in train_dataset.csv or beside them."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from kadr.errors import InputError
from kadr.ingest.raw_input import Form, RawInput, RawQueries, RawRatings
from kadr.ingest.test_split import read_listed, read_test_queries
from kadr.ingest.text_tables import TEXT_ENDINGS, Names, find_file, normalise_texts, read_rows, require_columns

TEXTS = "train_dataset.csv"
EXPERTS = ("ExpertAnnotations",)
CROWD = ("CrowdAnnotations", "CrowdFlowerAnnotations")
_PAIR = ("image", "query_id")
_VOTES = ("share_yes", "yes", "no")
_NAMES = {"image_id": "image", "query_id": "query_id"}


def read(source: Path) -> RawInput:
    """Read the files of ratings, the texts and the test part.

    A query_id is `image#k`: the k-th caption of that photo, rated beside another one. Its text stands in
    train_dataset.csv, or in a column query_text of a file of ratings, or in both.

    Raises:
        InputError: where a file is missing or unreadable, or a column is missing.
    """
    expert_path, crowd_path = find_file(source, *EXPERTS), find_file(source, *CROWD)
    experts, expert_texts, rates = _read_ratings(expert_path, lambda n: [f"rate_{k}" for k in range(1, n + 1)])
    crowd, crowd_texts, votes = _read_ratings(crowd_path, lambda _n: _VOTES)
    if len(votes) != len(_VOTES):
        raise InputError(
            f"{crowd_path}: beside image and query_id are {len(votes)} columns ({', '.join(votes)}), wanted 3: "
            "the share of yes, the count of yes, the count of no"
        )
    texts = ((TEXTS, _read_texts(source)), (expert_path.name, expert_texts), (crowd_path.name, crowd_texts))
    return RawInput(
        folders={"train": "train_images", "test": "test_images"},
        ratings=(
            RawRatings(expert_path.name, experts, _NAMES, experts=tuple(rates)),
            RawRatings(crowd_path.name, crowd, _NAMES, crowd=votes[0], votes=(votes[1], votes[2])),
        ),
        queries=(*_training(texts), *read_test_queries(source)),
        listed=read_listed(source),
    )


def _read_ratings(path: Path, names: Names) -> tuple[pd.DataFrame, pd.DataFrame | None, list[str]]:
    """The pairs and their cells, the texts where the file has them, and the names of the columns of ratings."""
    rows = read_rows(path, _PAIR, lambda n: [*_PAIR, *names(n - len(_PAIR))])
    rated = [name for name in rows.columns if name not in {*_PAIR, "query_text", ""}]
    texts = rows[["query_id", "query_text"]] if "query_text" in rows.columns else None
    return rows[[*_PAIR, *rated]].rename(columns={"image": "image_id"}), texts, rated


def _read_texts(source: Path) -> pd.DataFrame | None:
    path = source / TEXTS
    if not path.exists():
        return None
    rows = read_rows(path, ("query_id", "query_text"))
    require_columns(path, rows, ("query_id", "query_text"))
    return rows[["query_id", "query_text"]]


def _training(files: Sequence[tuple[str, pd.DataFrame | None]]) -> list[RawQueries]:
    """The training texts of each file, without those that a file before it has."""
    names = {"query_id": "query_id", "text": "query_text", "image_id": "query_id"}
    seen: set[str] = set()
    found: list[RawQueries] = []
    for file, texts in files:
        if texts is None:
            continue
        rows = texts.set_axis(["query_id", "text"], axis=1).drop_duplicates()
        rows = rows.assign(text=normalise_texts(rows["text"]), image_id=own_images(rows["query_id"])).drop_duplicates()
        if found:
            rows = rows[~rows["query_id"].isin(seen) & (rows["query_id"] != "") & (rows["text"] != "")]
        seen |= set(rows["query_id"])
        found.append(RawQueries(file, rows, names, "train"))
    return found


def own_images(query_ids: pd.Series) -> pd.Series:
    """The photo that each `image#k` was written for; "" where there is no `#`."""
    return query_ids.str.rsplit("#", n=1).str[0].where(query_ids.str.contains("#", regex=False), "")


def _recognises(folder: Path) -> bool:
    return any((folder / f"{stem}{ending}").is_file() for stem in (*EXPERTS, *CROWD) for ending in TEXT_ENDINGS)


FORM = Form(
    wants=f"{TEXTS} (image, query_id, query_text), ExpertAnnotations.tsv, CrowdAnnotations.tsv, train_images/ "
    "and test_images/",
    recognises=_recognises,
    read=read,
)
