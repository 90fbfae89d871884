"""Annotation mode: select image-text pairs to rate, and check each rating before it is stored."""

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kadr.errors import InputError
from kadr.io.schemas import QUERIES, read_table
from kadr.io.texts import normalise_whitespace
from kadr.serve.ratings_file import NewRating, RatingsFile

ANNOTATED_SPLIT = "train"
"""Split whose images can be rated. The `ingest` stage quarantines ratings of images in other splits."""

SplitLookup = Callable[[str], str | None]
"""Function that maps an image ID to its split, or to None if the image is not in the index or has no split."""


@dataclass(frozen=True)
class CandidatePair:
    """An image-text pair that can be offered to a rater.

    Attributes:
        image_id: ID of the image in the index.
        text: text to compare with the image.
    """

    image_id: str
    text: str


class Annotation:
    """Select pairs for raters and store the ratings.

    Args:
        ratings: ratings file, or the error that explains why ratings cannot be stored.
        rate_next: path of the CSV file that suggests pairs to rate, the most informative pair first
            (`reports/rate_next.csv`). The file does not have to exist.
        queries: path of the Parquet file that contains the queries (`data/tables/queries.parquet`). The texts of test
            queries cannot be rated. The file does not have to exist.
    """

    def __init__(self, ratings: RatingsFile | InputError, rate_next: Path, queries: Path) -> None:
        self._ratings, self._rate_next, self._queries = ratings, rate_next, queries

    @property
    def error(self) -> str | None:
        """Reason why ratings cannot be stored, or None if ratings can be stored."""
        return str(self._ratings) if isinstance(self._ratings, InputError) else None

    @property
    def n_ratings(self) -> int:
        """Number of ratings in the ratings file."""
        return 0 if isinstance(self._ratings, InputError) else self._ratings.n_ratings

    def suggested_pairs(self) -> Iterator[CandidatePair]:
        """Yield the pairs of the `rate_next` file in file order. Yield nothing if the file does not exist."""
        if not self._rate_next.is_file():
            return
        with self._rate_next.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                yield CandidatePair(row["image_id"], row["text"])

    def unrated_pairs(
        self, rater: str, candidates: Iterable[CandidatePair], get_split: SplitLookup
    ) -> Iterator[CandidatePair]:
        """Yield the candidate pairs that can be rated and that the rater has not rated yet.

        Args:
            rater: name of the rater.
            candidates: candidate pairs, in the order in which the page shows the pairs.
            get_split: function that maps an image ID to its split.

        Yields:
            The unrated pairs, in the order of `candidates`.

        Raises:
            InputError: ratings cannot be stored.
        """
        ratings, test_texts = self._require_ratings(), self._read_test_texts()
        for pair in candidates:
            is_allowed = get_split(pair.image_id) == ANNOTATED_SPLIT
            is_allowed = is_allowed and normalise_whitespace(pair.text) not in test_texts
            if is_allowed and not ratings.contains(rater, pair.image_id, pair.text):
                yield pair

    def save_rating(self, rating: NewRating, get_split: SplitLookup) -> None:
        """Append a rating to the ratings file.

        Args:
            rating: rating to store.
            get_split: function that maps an image ID to its split.

        Raises:
            InputError: the image is not in the train split, the text is a test query, or the ratings file cannot be
                written.
        """
        ratings = self._require_ratings()
        split = get_split(rating.image_id)
        if split != ANNOTATED_SPLIT:
            reason = "is not in the index or has no split" if split is None else f"belongs to the {split} split"
            raise InputError(
                f"Image {rating.image_id!r} {reason}. You can rate only images of the {ANNOTATED_SPLIT} split. "
                "Rate an image that GET /annotation/pairs returns."
            )
        if normalise_whitespace(rating.text) in self._read_test_texts():
            raise InputError(
                f"Text {rating.text!r} is a query of the test split. The model must not learn from test queries. "
                "Rate a different text."
            )
        ratings.append(rating)

    def _require_ratings(self) -> RatingsFile:
        if isinstance(self._ratings, InputError):
            raise self._ratings
        return self._ratings

    def _read_test_texts(self) -> set[str]:
        if not self._queries.is_file():
            return set()
        table = read_table(self._queries, QUERIES)
        rows = zip(table["text"].to_pylist(), table["split"].to_pylist(), strict=True)
        return {normalise_whitespace(text) for text, split in rows if split == "test"}
