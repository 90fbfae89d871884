"""Write the tables of the sample in file formats that `kadr.ingest` can read."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kadr.sample.split_images import SampleImage
from kadr.sample.train_table import TrainRow

TRAIN_COLUMNS = ("img_id", "text", "rate_1", "rate_2", "rate_3", "crowd_rates")


def write_train_table(path: Path, rows: Sequence[TrainRow]) -> None:
    """Write the rated pairs as a CSV file. Missing ratings are written as empty cells."""
    lines = ((row.img_id, row.text, *(row.ratings or ("", "", "")), _format_share(row.crowd)) for row in rows)
    _write_csv(path, [TRAIN_COLUMNS, *lines], ",")


def write_test_tables(images_path: Path, queries_path: Path, images: Sequence[SampleImage]) -> None:
    """Write the list of test images and the test queries.

    The queries file uses the delimiter `|`. Its first column contains row numbers and has no name.
    """
    _write_csv(images_path, [("image",), *((image.name,) for image in images)], ",")
    queries = ((query_id, text, image) for query_id, text, image in _list_captions(images))
    lines = [("", "query_id", "query_text", "image"), *((n, *query) for n, query in enumerate(queries))]
    _write_csv(queries_path, lines, "|")


def write_caption_table(path: Path, images: Sequence[SampleImage]) -> None:
    """Write one caption per line, in the form `image#number`, tab, text. The file has no header."""
    _write_csv(path, ((caption_id, text) for caption_id, text, _ in _list_captions(images)), "\t")


def write_relevance_table(path: Path, relevances: Mapping[tuple[str, str], float]) -> None:
    """Write the true relevance (0 to 1) of each image-text pair to a Parquet file."""
    pairs = sorted(relevances)
    columns = {
        "img_id": pa.array([img_id for img_id, _ in pairs], pa.string()),
        "text": pa.array([text for _, text in pairs], pa.string()),
        "relevance": pa.array([relevances[pair] for pair in pairs], pa.float64()),
    }
    pq.write_table(pa.table(columns), path)


def _list_captions(images: Iterable[SampleImage]) -> Iterable[tuple[str, str, str]]:
    for image in images:
        for number, caption in enumerate(image.captions):
            yield f"{image.name}#{number}", caption.text, image.name


def _format_share(share: float | None) -> str:
    return "" if share is None else str(share)


def _write_csv(path: Path, lines: Iterable[Sequence[object]], delimiter: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter, lineterminator="\n").writerows(lines)
