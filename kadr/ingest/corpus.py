"""The ingest part's corpus: captioned, unrated photos, none of them a train or test photo."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from kadr.errors import InputError
from kadr.ingest.image_checks import Photo, check_photos, list_photos
from kadr.ingest.quarantine import Rule, no_quarantine, photo_rules, sift
from kadr.ingest.raw_input import RawInput, RawQueries
from kadr.ingest.text_tables import normalise_texts, read_rows
from kadr.io.schemas import CAPTIONS
from kadr.params import IngestParams

COLUMNS = ("caption_id", "text")


@dataclass(frozen=True)
class Corpus:
    """Photos of split corpus, their captions (columns of CAPTIONS) and the quarantine of other captions."""

    photos: Sequence[Photo]
    captions: pd.DataFrame
    quarantine: pd.DataFrame


def read_corpus(params: IngestParams, taken: Mapping[str, str]) -> Corpus:
    """Read and check the corpus that params name; without one, an empty corpus.

    Args:
        params: section ingest.
        taken: image_id -> split of the train and test photos; a corpus photo of the same id is set aside with its
            captions.

    Raises:
        InputError: where a file is missing or unreadable, or no photo has a caption.
    """
    if params.corpus is None:
        return Corpus([], pd.DataFrame(columns=CAPTIONS.names, dtype="str"), no_quarantine())
    path = Path(params.source) / params.corpus.captions
    if not path.exists():
        raise InputError(
            f"{path}: no such file, wanted `image#k<TAB>caption`; put it there, or set ingest.corpus to null"
        )
    rows = read_rows(path, COLUMNS, lambda _n: COLUMNS)[list(COLUMNS)]
    photos = check_photos(list_photos(params.source, params.corpus.images, "corpus"), params.max_pixels)
    photos = [_apart(photo, taken) for photo in photos]
    captions, aside = check_captions(params.corpus.captions, rows, {photo.image_id: photo.status for photo in photos})
    if captions.empty:
        raise InputError(
            f"{path}: none of {len(rows):,} captions is of a good photo in {params.corpus.images}; "
            "mend the names (`image#k`), or set ingest.corpus to null"
        )
    return Corpus(photos, captions, aside)


def _apart(photo: Photo, taken: Mapping[str, str]) -> Photo:
    """The photo, set aside where another split has its id."""
    if photo.status != "ok" or photo.image_id not in taken:
        return photo
    return replace(photo, status=f"image_in_{taken[photo.image_id]}")


def check_captions(file: str, rows: pd.DataFrame, photos: Mapping[str, str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Check captions.

    Args:
        file: where they are from.
        rows: caption_id (`image#k`), text; index `row`.
        photos: image_id -> status, see `photo_rules`.

    Returns:
        Rows of the table CAPTIONS, and the quarantine.
    """
    parts = rows["caption_id"].str.rsplit("#", n=1)
    rows = rows.assign(image_id=parts.str[0], text=normalise_texts(rows["text"]))
    rules = (
        Rule("caption_id_invalid", "caption_id", lambda rows: ~rows["caption_id"].str.contains(r".#.", regex=True)),
        Rule("text_empty", "text", lambda rows: rows["text"] == ""),
        *photo_rules(photos),
        Rule("duplicate_row", "caption_id", lambda rows: rows.duplicated()),
        Rule("caption_id_conflict", "caption_id", lambda rows: rows.duplicated("caption_id")),
    )
    return sift(file, rows, {"image_id": "caption_id"}, rules)


def add_caption_texts(raw: RawInput, file: str, captions: pd.DataFrame) -> RawInput:
    """The input with the texts of those rated query_ids that no file of texts has but that are ids of captions.

    Args:
        raw: the input.
        file: where the captions are from.
        captions: columns of the table CAPTIONS.
    """
    rated = pd.concat([ratings.rows["query_id"] for ratings in raw.ratings]).unique()
    known = {query_id for queries in raw.queries for query_id in queries.rows["query_id"]}
    found = captions[captions["caption_id"].isin(set(rated) - known)]
    if found.empty:
        return raw
    rows = found.rename(columns={"caption_id": "query_id"})[["query_id", "text", "image_id"]]
    names = {"query_id": "caption_id", "text": "text", "image_id": "caption_id"}
    return raw.with_texts(RawQueries(file, rows, names, "train"))
