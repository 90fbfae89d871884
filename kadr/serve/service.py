"""The serve part's middle: what the routes ask for, answered by the searcher that is in use."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, ParamSpec, TypeVar

from fastapi.concurrency import run_in_threadpool

from kadr.errors import SearchError
from kadr.search import Filters, Match, Query, Searcher, Term, parse_query
from kadr.serve.annotation import Judging
from kadr.serve.api_models import MAX_OFFSET, Found, SearchAnswer, SearchRequest
from kadr.serve.batching import Batcher
from kadr.serve.hot_reload import Live
from kadr.serve.limits import Limits
from kadr.serve.prometheus import Metrics

P = ParamSpec("P")
T = TypeVar("T")

_UPLOADS = 2  # photos that are worked on at once


@dataclass(frozen=True)
class Asked:
    """A query and the part of its answer that is wanted."""

    query: Query
    k: int
    offset: int = 0


class Service:
    """Everything that one server holds."""

    def __init__(self, live: Live, judging: Judging, limits: Limits, metrics: Metrics) -> None:
        self.live, self.judging, self.limits, self.metrics = live, judging, limits, metrics
        self.batcher = Batcher(self._search)
        self._uploads = asyncio.Semaphore(_UPLOADS)
        self.note_version()

    @property
    def searcher(self) -> Searcher:
        """The searcher in use."""
        return self.live.loaded.searcher

    async def search(self, asked: Asked) -> SearchAnswer:
        """The photos that fit. Raises SearchError."""
        if any(term.photo is not None for term in asked.query.terms):
            (matches,) = await self.work_on_upload(self._search, [asked])
        else:
            matches = await self.batcher.ask(asked)
        more = len(matches) > asked.k and asked.offset + asked.k <= MAX_OFFSET
        return SearchAnswer(matches=[_found(match) for match in matches[: asked.k]], more=more)

    async def work_on_upload(self, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """What `work` gives in a thread; few at once, for a decoded photo may take hundreds of megabytes."""
        async with self._uploads:
            return await run_in_threadpool(work, *arguments, **options)

    def photo(self, image_id: str) -> Mapping[str, Any] | None:
        """The photo's row of the index, None where it has none."""
        try:
            return self.searcher.photo(image_id)
        except SearchError:
            return None

    def split_of(self, image_id: str) -> str | None:
        """The photo's split; None where it is not in the index or has none."""
        row = self.photo(image_id)
        return None if row is None else row["split"]

    def note_version(self) -> None:
        """Tell the figures what is loaded."""
        self.metrics.photos.set(len(self.searcher.index.photos))
        self.metrics.loaded.set(self.live.loaded.at)
        self.metrics.failed.set(self.live.n_failed)

    def _search(self, asked: Sequence[Asked]) -> list[list[Match]]:
        """The answers to a batch, each with one match more than was asked for where there are more."""
        self.metrics.batch.observe(len(asked))
        searcher = self.searcher
        found: dict[int, list[Match]] = {}
        for (k, offset), places in _places(asked).items():
            answers = searcher.search_many([asked[at].query for at in places], k + 1, offset)
            found.update(zip(places, answers, strict=True))
        return [found[at] for at in range(len(asked))]


def _places(asked: Sequence[Asked]) -> dict[tuple[int, int], list[int]]:
    """Which of `asked` want the same k and offset."""
    places: dict[tuple[int, int], list[int]] = {}
    for at, one in enumerate(asked):
        places.setdefault((one.k, one.offset), []).append(at)
    return places


def to_query(request: SearchRequest) -> Query:
    """The query of a request. Raises SearchError where it is none."""
    filters = Filters(**dict(request.filters))
    terms = parse_query(request.text).terms if request.text else ()
    others = (Term(part.weight, text=part.text, image_id=part.image_id) for part in request.terms)
    return Query((*terms, *others), filters, request.fold_duplicates)


def _found(match: Match) -> Found:
    return Found(
        image_id=match.image_id,
        name=PurePath(match.path).name,
        score=match.score,
        relevance=match.relevance,
        width=match.width,
        height=match.height,
        n_duplicates=match.n_duplicates,
    )
