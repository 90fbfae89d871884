"""Search examples: test queries and their results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from kadr.io.embeddings import Embeddings, Vectors
from kadr.report.data_uri import thumbnail_data_uri
from kadr.search import Match, Searcher


@dataclass(frozen=True)
class ExampleMatch:
    """One result of a search example.

    Attributes:
        thumbnail: Thumbnail of the image, as a data URI.
        match: The image and its score, as the search returned them.
        is_target: Whether the query is a caption of this image.
    """

    thumbnail: str
    match: Match
    is_target: bool


@dataclass(frozen=True)
class SearchExample:
    """A test query and its search results.

    Attributes:
        text: Text of the query.
        matches: Search results, the best match first.
        has_target: Whether the index contains the image that the query describes.
    """

    text: str
    matches: Sequence[ExampleMatch]
    has_target: bool


@dataclass(frozen=True)
class StoredTextEncoder:
    """A text encoder that looks up stored embeddings instead of running a model.

    Attributes:
        embeddings: Stored embeddings.
        ids: Mapping from text to the ID of its embedding.
    """

    embeddings: Embeddings
    ids: Mapping[str, str]

    def transform(self, texts: Sequence[str]) -> Vectors:
        """Return the stored embeddings of the texts: (n_texts, d) float32, unit norm."""
        return self.embeddings.select([self.ids[text] for text in texts])


def run_searches(searcher: Searcher, queries: pd.DataFrame, n_queries: int, n_results: int) -> list[SearchExample]:
    """Search with the first test queries. Use at most one query per target image.

    Args:
        searcher: Searcher for the index.
        queries: Queries with the columns of the schema QUERIES.
        n_queries: Maximum number of queries.
        n_results: Maximum number of results per query.
    """
    test = queries[queries["split"] == "test"].sort_values("query_id")
    has_target = test["image_id"].notna()
    selected = pd.concat([test[has_target].drop_duplicates("image_id"), test[~has_target]]).head(n_queries)
    indexed_ids = set(searcher.index.table["image_id"].to_pylist())
    return [
        SearchExample(
            text, [_make_match(match, target) for match in searcher.search(text, n_results)], target in indexed_ids
        )
        for text, target in zip(selected["text"], selected["image_id"], strict=True)
    ]


def _make_match(match: Match, target: str | None) -> ExampleMatch:
    return ExampleMatch(thumbnail_data_uri(match.path), match, match.image_id == target)
