"""The index's search by vector: FAISS, exact up to a size and by inverted lists past it, its recall measured.

Vectors are float16. Past `exact_max` photos they lie in lists around k-means centres (IVF, Sivic and Zisserman 2003);
a search looks into the `nprobe` nearest lists, as many as the wanted recall takes, and into more where a filter or a
deep search leaves it short of photos.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kadr.index.vectors import PhotoVectors
from kadr.io.embeddings import Rows, Vectors, spread

if TYPE_CHECKING:
    import faiss

EXACT, LISTS = "SQfp16", "IVF{},SQfp16"  # FAISS's names
WANTED_RECALL = 0.98
K = 10  # of recall@k
N_ASKED = 512  # vectors that the recall is measured with
FEW = 20_000  # so many rows or fewer are compared one by one: 20 ms for vectors of 512
_LISTS_PER_ROOT = 4  # lists for each root of the number of photos, the usual choice
_TRAINED_ON = 40  # vectors for each list that k-means sees; FAISS asks for 39 and more
_AT_ONCE = 65_536  # rows in memory as float32 at once
_SEED = 1234

Places = npt.NDArray[np.int64]
Cosines = npt.NDArray[np.float32]
Found = tuple[Places, Cosines]


@dataclass(frozen=True)
class Nearest:
    """A FAISS index by inner product.

    Attributes:
        faiss_index: over the photos' vectors, in the order of their rows.
        kind: FAISS's name of it.
        nprobe: how many lists a search for the first 10 of all photos looks into; 0 where it is exact.
        recall: recall@10 against an exact search in float32, as measured when it was built.
    """

    faiss_index: "faiss.Index"
    kind: str
    nprobe: int
    recall: float

    def __post_init__(self) -> None:
        """Have all threads share the lists of a query; FAISS gives each its own query, and one query one thread."""
        if self.nprobe:
            _faiss().extract_index_ivf(self.faiss_index).parallel_mode = 1

    @classmethod
    def build(cls, vectors: PhotoVectors, exact_max: int, texts: Vectors | None = None) -> "Nearest":
        """Choose the kind by the number of photos, fill it, and choose `nprobe` by the recall it reaches.

        Args:
            vectors: of n photos, n at least 1.
            exact_max: up to so many photos the search is exact.
            texts: (m, d) vectors to measure the recall with; photos' own where there are none.
        """
        faiss = _faiss()
        n = len(vectors.values)
        n_lists = 0 if n <= exact_max else min(n, int(_LISTS_PER_ROOT * np.sqrt(n)))
        kind = LISTS.format(n_lists) if n_lists else EXACT
        index = faiss.index_factory(vectors.dim, kind, faiss.METRIC_INNER_PRODUCT)
        if n_lists:
            index.cp.seed = _SEED
            index.train(vectors.take(spread(n, _TRAINED_ON * n_lists)))
        for start in range(0, n, _AT_ONCE):
            index.add(vectors.take(slice(start, start + _AT_ONCE)))
        asked = texts[spread(len(texts), N_ASKED)] if texts is not None and len(texts) else None
        asked = vectors.take(spread(n, N_ASKED)) if asked is None else asked
        wanted = exact_nearest(asked, vectors, K)[0]
        nprobe, recall = 0, recall_at(wanted, index.search(asked, wanted.shape[1])[1])
        if n_lists:
            nprobe, recall = _enough_lists(index, asked, wanted)
        return cls(index, kind, nprobe, recall)

    def search(self, asked: Vectors, k: int, vectors: PhotoVectors, rows: Rows | None = None) -> list[Found]:
        """The k nearest photos of each of q vectors, nearest first; equals stand in the order of rows.

        Args:
            asked: (q, d) float32.
            k: at least 1; fewer are found where there are fewer.
            vectors: of the photos.
            rows: of the photos that may be found, ascending; None for all.
        """
        n = len(vectors.values) if rows is None else len(rows)
        if not n:
            return [(np.empty(0, np.int64), np.empty(0, np.float32))] * len(asked)
        k = min(k, n)
        if rows is not None and n <= FEW:
            cosines = asked @ vectors.take(rows).T
            return [_ordered(rows, of, k) for of in cosines]
        nprobe, n_lists = self.nprobe, getattr(self.faiss_index, "nlist", 0)
        if nprobe and rows is not None:  # what may be found lies thinner in the lists
            nprobe = min(n_lists, -(-nprobe * len(vectors.values) // n))
        while True:
            cosines, found = self.faiss_index.search(asked, k, params=self._parameters(rows, nprobe))
            if nprobe >= n_lists or (found >= 0).all():
                break
            nprobe = min(2 * nprobe, n_lists)
        return [_ordered(found[at][found[at] >= 0], cosines[at][found[at] >= 0], k) for at in range(len(asked))]

    def _parameters(self, rows: Rows | None, nprobe: int) -> Any:
        faiss = _faiss()
        chosen = {} if rows is None else {"sel": faiss.IDSelectorBatch(rows)}
        if nprobe:
            return faiss.SearchParametersIVF(nprobe=nprobe, **chosen)
        return faiss.SearchParameters(**chosen) if chosen else None

    def describe(self) -> dict[str, object]:
        """What index.json says of it."""
        return {"kind": self.kind, "nprobe": self.nprobe, "recall_at_10": self.recall}

    def write(self, path: Path) -> None:
        """Write to `path`; the same gives the same bytes. Raises OSError."""
        with path.open("wb") as file:  # FAISS's own writing does not see a disk that fills up at the end
            _faiss().write_index(self.faiss_index, _faiss().PyCallbackIOWriter(file.write))

    @classmethod
    def read(cls, path: Path, described: Mapping[str, Any]) -> "Nearest":
        """Read what `write` wrote and `describe` said. Raises RuntimeError where it is missing or damaged."""
        return cls(_faiss().read_index(str(path)), described["kind"], described["nprobe"], described["recall_at_10"])


def exact_nearest(asked: Vectors, vectors: PhotoVectors, k: int) -> Found:
    """Rows and cosines of the k nearest by comparing with every vector: (q, k) each, in no order."""
    best, rows = np.empty((len(asked), 0), np.float32), np.empty((len(asked), 0), np.int64)
    for start in range(0, len(vectors.values), _AT_ONCE):
        cosines = asked @ vectors.take(slice(start, start + _AT_ONCE)).T
        best = np.concatenate([best, cosines], axis=1)
        rows = np.concatenate([rows, np.broadcast_to(np.arange(cosines.shape[1]) + start, cosines.shape)], axis=1)
        kept = np.argpartition(-best, min(k, best.shape[1]) - 1, axis=1)[:, :k]
        best, rows = np.take_along_axis(best, kept, 1), np.take_along_axis(rows, kept, 1)
    return rows, best


def recall_at(wanted: Places, found: Places) -> float:
    """The share of the wanted rows (q, k) that are among the found ones (q, any), by query."""
    return float(_recalls(wanted, found).mean())


def _recalls(wanted: Places, found: Places) -> npt.NDArray[np.float64]:
    return np.array([len(np.intersect1d(*pair)) / len(pair[0]) for pair in zip(wanted, found, strict=True)])


def _enough_lists(index: Any, asked: Vectors, wanted: Places) -> tuple[int, float]:
    """The least number of lists, to a sixteenth of it, that surely reaches the wanted recall, and the recall.

    Surely: the mean over the queries less its standard error does, for other queries may find less.
    """

    def measured(nprobe: int) -> tuple[bool, float]:
        found = index.search(asked, wanted.shape[1], params=_faiss().SearchParametersIVF(nprobe=nprobe))[1]
        recalls = _recalls(wanted, found)
        least = recalls.mean() - recalls.std() / np.sqrt(len(recalls))
        return nprobe >= index.nlist or bool(least >= WANTED_RECALL), float(recalls.mean())

    too_few, nprobe = 0, 1
    enough, recall = measured(nprobe)
    while not enough:
        too_few, nprobe = nprobe, min(2 * nprobe, index.nlist)
        enough, recall = measured(nprobe)
    while nprobe - too_few > max(1, nprobe // 16):
        middle = (too_few + nprobe) // 2
        enough, reached = measured(middle)
        too_few, nprobe, recall = (too_few, middle, reached) if enough else (middle, nprobe, recall)
    return nprobe, recall


def _ordered(rows: Places, cosines: Cosines, k: int) -> Found:
    """The k greatest, the greatest first; equals stand in the order of rows."""
    order = np.lexsort((rows, -cosines))[:k]
    return rows[order], cosines[order]


@cache
def _faiss() -> ModuleType:
    """FAISS, without its log of which processor's build it found."""
    logging.getLogger("faiss.loader").setLevel(logging.WARNING)
    import faiss

    return faiss
