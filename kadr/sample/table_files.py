"""The sample's tables as files, in the forms that `kadr.ingest` reads."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kadr.sample.split_images import Photo
from kadr.sample.train_table import Row

RATED_COLUMNS = ("img_id", "text", "rate_1", "rate_2", "rate_3", "crowd_rates")


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rated pairs, comma-separated; a rating nobody gave is left blank."""
    lines = ((row.img_id, row.text, *(row.rates or ("", "", "")), _blank(row.crowd)) for row in rows)
    _write_csv(path, [RATED_COLUMNS, *lines], ",")


def write_test(images_path: Path, queries_path: Path, photos: Sequence[Photo]) -> None:
    """Write the list of test photos, and their queries separated by `|` after an unnamed index."""
    _write_csv(images_path, [("image",), *((photo.name,) for photo in photos)], ",")
    queries = ((query_id, text, image) for query_id, text, image in _captions(photos))
    lines = [("", "query_id", "query_text", "image"), *((n, *query) for n, query in enumerate(queries))]
    _write_csv(queries_path, lines, "|")


def write_captions(path: Path, photos: Sequence[Photo]) -> None:
    """Write `image#k`, tab, caption; no header."""
    _write_csv(path, ((caption_id, text) for caption_id, text, _ in _captions(photos)), "\t")


def write_truth(path: Path, truth: Mapping[tuple[str, str], float]) -> None:
    """Write the true relevance of every rated pair: img_id, text, relevance 0..1."""
    pairs = sorted(truth)
    columns = {
        "img_id": pa.array([img_id for img_id, _ in pairs], pa.string()),
        "text": pa.array([text for _, text in pairs], pa.string()),
        "relevance": pa.array([truth[pair] for pair in pairs], pa.float64()),
    }
    pq.write_table(pa.table(columns), path)


def truncate(path: Path) -> None:
    """Cut a file off half-way."""
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def _captions(photos: Iterable[Photo]) -> Iterable[tuple[str, str, str]]:
    for photo in photos:
        for number, caption in enumerate(photo.captions):
            yield f"{photo.name}#{number}", caption.text, photo.name


def _blank(share: float | None) -> str:
    return "" if share is None else str(share)


def _write_csv(path: Path, lines: Iterable[Sequence[object]], separator: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=separator, lineterminator="\n").writerows(lines)
