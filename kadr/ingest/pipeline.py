"""The ingest part's whole: a raw folder in; checked, sorted tables and their figures out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd
import pyarrow as pa

from kadr.errors import InputError
from kadr.ingest.corpus import Corpus, add_caption_texts, read_corpus
from kadr.ingest.formats.registry import choose_form, read_form
from kadr.ingest.image_checks import Photo, absent_photos, check_photos, list_photos
from kadr.ingest.leaks import equal_texts, leak_table
from kadr.ingest.near_duplicates import find_near_duplicates
from kadr.ingest.quarantine import check_bad_photos, check_bad_rows, quarantined_photos
from kadr.ingest.queries import check_queries
from kadr.ingest.rating_cells import CheckedRatings
from kadr.ingest.ratings import check_ratings
from kadr.ingest.raw_input import RawInput, RawQueries
from kadr.ingest.summary import figures
from kadr.ingest.tables import join_ratings, make_tables
from kadr.ingest.text_tables import files_in_cp1251
from kadr.ingest.validation import SUITE_OF, validate
from kadr.params import IngestParams


@dataclass(frozen=True)
class Ingested:
    """What a raw folder holds.

    Attributes:
        tables: those of kadr/io/schemas.py by name, sorted by id.
        metrics: the figures to report of them.
        data_docs: HTML page of each table's validation.
    """

    tables: dict[str, pa.Table]
    metrics: dict[str, object]
    data_docs: dict[str, str]


@dataclass(frozen=True)
class Checked:
    """What was read and checked; the raw rows are forgotten, which at 5 million of them is a gigabyte."""

    form: str
    source: str
    photos: Sequence[Photo]
    corpus: Corpus
    queries: pd.DataFrame
    ratings: Sequence[CheckedRatings]
    quarantine: pd.DataFrame
    files_in_cp1251: list[str]


def ingest(params: IngestParams, suites: Path) -> Ingested:
    """Read, check and normalise the raw folder that `params` name.

    Args:
        params: section ingest.
        suites: folder of the Great Expectations suites.

    Returns:
        Tables images, corpus, queries, captions, ratings, quarantine and leaks.

    Raises:
        InputError: where a file or folder is missing or unreadable, nothing was rated, or a critical expectation fails.
        TooManyBad: where more rating rows or photos are set aside than `params` allow.
    """
    found = read_and_check(params)
    near = find_near_duplicates(found.photos, found.corpus.photos, params.near_duplicate_bits)
    texts = equal_texts(found.queries, found.corpus.captions)
    ratings = join_ratings(found.ratings, found.source)
    tables = make_tables(found.photos, found.corpus, found.queries, ratings, found.quarantine)
    tables["leaks"] = leak_table(near, texts)
    validation = validate({name: tables[name].to_pandas() for name in SUITE_OF}, suites)
    head = {"form": found.form, "files_in_cp1251": found.files_in_cp1251}
    counts = figures(tables, found.ratings, near, texts, validation.warnings)
    return Ingested(tables, head | counts, validation.pages)


def read_and_check(params: IngestParams) -> Checked:
    """Read the raw folder and judge every photo and row of it. Raises InputError and TooManyBad."""
    source = str(PurePosixPath(params.source))
    form = choose_form(Path(source), params.form)
    raw = read_form(Path(source), form)
    if not any(len(file.rows) for file in raw.ratings):
        files = " and ".join(file.file for file in raw.ratings)
        raise InputError(f"{source}: {files} without a row, wanted ratings; put them there")
    photos = read_photos(source, raw, params.max_pixels)
    corpus = read_corpus(params, {photo.image_id: photo.split for photo in photos})
    if params.corpus is not None:
        raw = add_caption_texts(raw, params.corpus.captions, corpus.captions)
    queries, queries_aside = read_queries(raw.queries, photos)
    split_of = dict(zip(queries["query_id"], queries["split"], strict=True))
    ratings = [check_ratings(file, statuses(photos, "train"), split_of) for file in raw.ratings]
    photos_aside = quarantined_photos([*photos, *corpus.photos], source)
    check_limits(params, ratings, photos_aside, len(photos) + len(corpus.photos))
    quarantine = pd.concat([*(file.quarantine for file in ratings), queries_aside, corpus.quarantine, photos_aside])
    old = files_in_cp1251(Path(source), text_files(params, raw))
    return Checked(form, source, photos, corpus, queries, ratings, quarantine, old)


def text_files(params: IngestParams, raw: RawInput) -> list[str]:
    """All files of ratings, texts and captions."""
    captions = [params.corpus.captions] if params.corpus is not None else []
    return [*(file.file for file in (*raw.ratings, *raw.queries)), *captions]


def read_photos(source: str, raw: RawInput, max_pixels: int) -> list[Photo]:
    """The train and test photos checked, and those that ratings, queries or lists name but that are not there.

    Raises:
        InputError: where a folder is missing or empty, or one name stands in both.
    """
    photos = [photo for split, folder in raw.folders.items() for photo in list_photos(source, folder, split)]
    split_of = {photo.image_id: photo.split for photo in photos}
    if len(split_of) < len(photos):
        twice = sorted(photo.image_id for photo in photos if photo.split != split_of[photo.image_id])
        raise InputError(
            f"{source}: {len(twice)} photos are in {' and in '.join(raw.folders.values())}: {', '.join(twice[:3])}...; "
            "a photo may be rated or be a test photo, not both: remove it from one"
        )
    named = {split: set(names) for split, names in raw.listed.items()}
    for file in raw.ratings:
        named.setdefault("train", set()).update(file.rows["image_id"].unique())
    for texts in raw.queries:
        if texts.split == "test":
            named.setdefault("test", set()).update(texts.rows["image_id"].unique())
    absent = []
    for split, names in named.items():
        gone = sorted(names - split_of.keys() - {""})
        split_of |= dict.fromkeys(gone, split)
        absent += absent_photos(source, raw.folders[split], split, gone)
    return [*check_photos(photos, max_pixels), *absent]


def read_queries(files: Sequence[RawQueries], photos: Sequence[Photo]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of the table QUERIES from all files of texts, training files first, and the quarantine.

    Raises:
        InputError: where there is no training text at all.
    """
    good, aside = [], []
    training: set[str] = set()
    for file in files:
        rows, rows_aside = check_queries(file, statuses(photos, "test"), training)
        training |= set(rows["query_id"])
        good.append(rows)
        aside.append(rows_aside)
    queries = pd.concat(good)
    if not (queries["split"] == "train").any():
        raise InputError(
            "the rated query_ids have no text in any file; put train_dataset.csv (image, query_id, query_text) "
            "beside the ratings, or a column query_text into them, or captions of these ids into ingest.corpus.captions"
        )
    return queries, pd.concat(aside)


def statuses(photos: Sequence[Photo], split: str) -> dict[str, str]:
    """Status of each photo of `split` by image_id; one of another split is an overlap."""
    return {photo.image_id: photo.status if photo.split == split else f"image_in_{photo.split}" for photo in photos}


def check_limits(
    params: IngestParams, ratings: Sequence[CheckedRatings], photos_aside: pd.DataFrame, n_photos: int
) -> None:
    """Raise TooManyBad where more was set aside than `params` allow."""
    rows_aside = pd.concat([file.quarantine for file in ratings])
    check_bad_photos(photos_aside, n_photos, params.max_bad_images)
    check_bad_rows(rows_aside, sum(file.n_rows for file in ratings), params.max_bad_rows)
