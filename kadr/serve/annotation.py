"""The serve part's judging mode: which pairs people are asked about, and which of their ratings may be kept."""

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kadr.errors import InputError
from kadr.io.schemas import QUERIES, read_table
from kadr.serve.ratings_file import NewRating, RatingsFile, clean

RATED_SPLIT = "train"
"""Photos of this split may be rated; by the others figures are measured, and stage ingest sets their ratings aside."""

SplitOf = Callable[[str], str | None]
"""image_id -> its split, None where the photo is not in the index."""


@dataclass(frozen=True)
class Pair:
    """A photo and a text to be rated."""

    image_id: str
    text: str


class Judging:
    """Pairs to rate and the file that keeps the ratings.

    Args:
        ratings: where ratings go; an InputError says why none can be kept.
        rate_next: `reports/rate_next.csv`, the pairs whose rating would tell most, the best first.
        queries: `data/tables/queries.parquet`, where it is there: its test texts are not to be rated.
    """

    def __init__(self, ratings: RatingsFile | InputError, rate_next: Path, queries: Path) -> None:
        self._ratings, self._rate_next, self._queries = ratings, rate_next, queries

    @property
    def refusal(self) -> str | None:
        """Why no rating can be kept; None where they can."""
        return str(self._ratings) if isinstance(self._ratings, InputError) else None

    @property
    def n_rated(self) -> int:
        """How many rows the file of ratings has."""
        return 0 if isinstance(self._ratings, InputError) else self._ratings.n

    def queue(self) -> Iterator[Pair]:
        """The pairs of rate_next; none where the stage `report` has not written it."""
        if not self._rate_next.is_file():
            return
        with self._rate_next.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                yield Pair(row["image_id"], row["text"])

    def unrated(self, rater: str, pairs: Iterable[Pair], split_of: SplitOf) -> Iterator[Pair]:
        """Those of `pairs` that may be rated and that `rater` has not rated. Raises InputError where none can be."""
        ratings, test_texts = self._open(), self._test_texts()
        for pair in pairs:
            may_be = split_of(pair.image_id) == RATED_SPLIT and clean(pair.text) not in test_texts
            if may_be and not ratings.has(rater, pair.image_id, pair.text):
                yield pair

    def keep(self, rating: NewRating, split_of: SplitOf) -> None:
        """Keep a rating for the next run. Raises InputError where stage ingest would set it aside."""
        ratings = self._open()
        split = split_of(rating.image_id)
        if split != RATED_SPLIT:
            why = "is not in the index" if split is None else f"is of split {split}"
            raise InputError(f"photo {rating.image_id!r} {why}; only photos of split {RATED_SPLIT} are rated")
        if clean(rating.text) in self._test_texts():
            raise InputError(f"{rating.text!r} is a test query, by which no model may learn; rate another text")
        ratings.add(rating)

    def _open(self) -> RatingsFile:
        if isinstance(self._ratings, InputError):
            raise self._ratings
        return self._ratings

    def _test_texts(self) -> set[str]:
        if not self._queries.is_file():
            return set()
        table = read_table(self._queries, QUERIES)
        rows = zip(table["text"].to_pylist(), table["split"].to_pylist(), strict=True)
        return {clean(text) for text, split in rows if split == "test"}
