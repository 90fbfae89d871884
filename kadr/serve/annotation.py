"""Annotation mode: select image-text pairs to rate, and check each rating before it is stored."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from kadr.errors import InputError
from kadr.io.schemas import QUERIES, read_table
from kadr.io.texts import normalise_whitespace
from kadr.serve.annotation_scale import AnnotationScale
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


@dataclass(frozen=True)
class PairsPage:
    """Pairs that a rater has not rated yet, and the progress of the rater.

    Attributes:
        pairs: unrated pairs, in the order in which the page shows the pairs.
        next_cursor: position of the first candidate after `pairs`, or None if no unrated pair follows.
        n_pairs: number of candidate pairs that can be rated.
        n_left: number of candidate pairs that the rater has not rated yet, at all positions.
    """

    pairs: list[CandidatePair]
    next_cursor: int | None
    n_pairs: int
    n_left: int


class Annotation:
    """Select pairs for raters and store the ratings.

    Args:
        ratings: ratings file, or the error that explains why ratings cannot be stored.
        rate_next: path of the CSV file that suggests pairs to rate, the most informative pair first
            (`reports/rate_next.csv`). The file does not have to exist.
        queries: path of the Parquet file that contains the queries (`data/tables/queries.parquet`). The texts of test
            queries cannot be rated. The file does not have to exist.
        scale: scale of the ratings.
    """

    def __init__(
        self,
        ratings: RatingsFile | InputError,
        rate_next: Path,
        queries: Path,
        scale: AnnotationScale = AnnotationScale(),  # noqa: B008 (immutable)
    ) -> None:
        self._ratings, self._rate_next, self._queries = ratings, rate_next, queries
        self.scale = scale

    @property
    def error(self) -> str | None:
        """Reason why ratings cannot be stored, or None if ratings can be stored."""
        return str(self._ratings) if isinstance(self._ratings, InputError) else self._ratings.error

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

    def select_pairs(
        self, rater: str, candidates: Iterable[CandidatePair], get_split: SplitLookup, k: int, cursor: int = 0
    ) -> PairsPage:
        """Select the next candidate pairs that can be rated and that the rater has not rated yet.

        A request with the `next_cursor` of the previous page skips the pairs that the rater has already seen, so a
        rater can skip any number of pairs.

        Args:
            rater: name of the rater.
            candidates: candidate pairs, in the order in which the page shows the pairs.
            get_split: function that maps an image ID to its split.
            k: maximum number of pairs to return.
            cursor: position in `candidates` of the first pair to return.

        Raises:
            InputError: ratings cannot be stored.
        """
        ratings, test_texts = self._require_ratings(), self._read_test_texts()
        allowed: dict[CandidatePair, int] = {}
        for position, pair in enumerate(candidates):
            if get_split(pair.image_id) == ANNOTATED_SPLIT and normalise_whitespace(pair.text) not in test_texts:
                allowed.setdefault(pair, position)
        unrated = [pair for pair in allowed if not ratings.contains(rater, pair.image_id, pair.text)]
        following = [pair for pair in unrated if allowed[pair] >= cursor]
        next_cursor = allowed[following[k]] if len(following) > k else None
        return PairsPage(following[:k], next_cursor, len(allowed), len(unrated))

    def explain_no_pairs(self, text: str) -> str:
        """Return why there are no pairs to rate, and what to do.

        Args:
            text: search text whose results were the candidates, or "" for the suggested pairs.
        """
        if text and normalise_whitespace(text) in self._read_test_texts():
            return f"{text!r} is a query of the test split, which evaluates the model. Rate results of another text."
        if text:
            return f"No result for {text!r} belongs to the {ANNOTATED_SPLIT} split. Search for another text."
        if not self._rate_next.is_file():
            return (
                f"There are no suggested pairs because {self._rate_next.name} does not exist. Run `dvc repro`, which "
                "writes this file, or type a text into the search field to rate its results."
            )
        return (
            f"None of the pairs in {self._rate_next.name} has an image of the {ANNOTATED_SPLIT} split in this index. "
            "Type a text into the search field to rate its results."
        )

    def find_error(self, splits: Mapping[str, str]) -> str | None:
        """Return why the images of an index cannot be rated, or None if they can be rated.

        Args:
            splits: image ID -> split, for the images of the index that have a split.
        """
        if not splits:
            return (
                "The images of this index belong to no split, because `kadr index` made the index. Ratings train the "
                f"relevance model of a project, so only images of its {ANNOTATED_SPLIT} split can be rated. To rate "
                "images, run `dvc repro` in a project folder and start `kadr serve` there."
            )
        if ANNOTATED_SPLIT not in splits.values():
            return (
                f"No image of this index belongs to the {ANNOTATED_SPLIT} split. You can rate only images of the "
                f"{ANNOTATED_SPLIT} split. Serve the index of the whole project."
            )
        return self.error

    def ratings_by(self, rater: str) -> list[NewRating]:
        """Return the current ratings of a rater, oldest first.

        Raises:
            InputError: ratings cannot be stored.
        """
        return self._require_ratings().ratings_by(rater)

    def n_pairs_by(self, rater: str) -> int:
        """Return the number of pairs that a rater has rated."""
        return 0 if isinstance(self._ratings, InputError) else self._ratings.n_pairs_by(rater)

    def withdraw_rating(self, rater: str, image_id: str, text: str) -> bool:
        """Withdraw a rater's rating of a pair. Return whether there was a rating to withdraw.

        Raises:
            InputError: the ratings file cannot be written.
        """
        return self._require_ratings().withdraw(rater, image_id, text)

    def save_rating(self, rating: NewRating, get_split: SplitLookup) -> None:
        """Append a rating to the ratings file.

        Args:
            rating: rating to store.
            get_split: function that maps an image ID to its split.

        Raises:
            InputError: the rating is outside of the scale, the image is not in the train split, the text is a test
                query, or the ratings file cannot be written.
        """
        ratings, scale = self._require_ratings(), self.scale
        if not scale.minimum <= rating.rating <= scale.maximum:
            raise InputError(
                f"The rating {rating.rating:g} is outside of the scale. Expected a number from {scale.minimum:g} to "
                f"{scale.maximum:g}, which is the scale of the expert ratings of this project. Correct the rating."
            )
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
        ratings.append(replace(rating, scale=scale))

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
