"""The index itself: FAISS for the nearest vectors, a table of photos, and vectors for the relevance model."""

import json
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kadr.errors import SearchError
from kadr.features import Images
from kadr.index.checksums import checksums, damaged
from kadr.index.nearest import Found, Nearest
from kadr.index.vectors import PhotoVectors, write_array
from kadr.io.embeddings import Embeddings, Rows, Vectors
from kadr.io.schemas import INDEXED, read_table, write_table

_DESCRIPTION = "index.json"
_PHOTOS = "metadata.parquet"
_FAISS = "{}.faiss"
_VECTORS = "vectors"
_PREPARED = "prepared"
_CHECKSUMS = "sha256"
_SHORT = 16  # numbers in a row that are kept in full
_AT_ONCE = 4096  # photos that are prepared together
_DAMAGED = (
    "{}: the index cannot be read ({}); make it anew with `dvc repro -f -s index`, or `kadr index` for your own photos"
)


Preparing = Callable[[Images], Mapping[str, npt.NDArray[Any]]]


@dataclass(frozen=True)
class Index:
    """Photos that can be searched by a vector.

    Attributes:
        encoder: name of the encoder whose space photos and texts share.
        photos: schema INDEXED, sorted by image_id; row i is the photo of vector i.
        vectors: encoder name -> the photos' vectors, in the order of `photos`.
        neighbours: FAISS over the vectors of `encoder`.
        about: what index.json says beside: where the photos came from.
        prepared: what the relevance model of key `prepared_for` computed of the photos alone, (n, ...) each.
        prepared_for: that key.
        preparing: computes the same of the photos that are taken, where nothing is prepared.
    """

    encoder: str
    photos: pa.Table
    vectors: Mapping[str, PhotoVectors]
    neighbours: Nearest
    about: Mapping[str, object]
    prepared: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    prepared_for: str = ""
    preparing: Preparing | None = None

    def nearest(self, vector: Vectors, k: int, rows: Rows | None = None) -> Found:
        """The k photos (or all, where there are fewer) whose vectors are nearest to `vector`, nearest first.

        Args:
            vector: (1, d) float32, unit norm, by `encoder`.
            k: at least 1.
            rows: of the photos that may be found, ascending; None for all.

        Returns:
            Rows of `photos` (n,) int64 and cosines (n,) float32; equal cosines stand in the order of rows.
        """
        return self.neighbours.search(vector, k, self.vectors[self.encoder], rows)[0]

    def images(self, rows: "Rows | slice") -> Images:
        """Photos with their vectors, and what was prepared of them."""
        ids = self._ids[rows] if isinstance(rows, slice) else self._ids.take(rows)
        vectors = {name: of.take(rows) for name, of in self.vectors.items()}
        images = Images(ids.to_pylist(), vectors, {name: np.asarray(of[rows]) for name, of in self.prepared.items()})
        return replace(images, prepared=_halved(self.preparing(images))) if self.preparing else images

    def prepare(self, prepare: Preparing, key: str) -> "Index":
        """The index with what the relevance model of this key computes of its photos."""
        if self.prepared_for == key:
            return self
        bare = replace(self, prepared={}, prepared_for="", preparing=None)
        starts = range(0, len(self.photos), _AT_ONCE)
        parts = [_halved(prepare(bare.images(slice(start, start + _AT_ONCE)))) for start in starts]
        prepared = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return replace(bare, prepared=prepared, prepared_for=key)

    def prepare_when_taken(self, prepare: Preparing, key: str) -> "Index":
        """The index that has what the relevance model of this key computes of photos computed at every search."""
        return self if self.prepared_for == key else replace(self, prepared={}, prepared_for="", preparing=prepare)

    def row_of(self, image_id: str) -> int | None:
        """Row of the photo, None where there is none."""
        row = bisect_left(range(len(self.photos)), image_id, key=lambda at: self._ids[at].as_py())
        return row if row < len(self.photos) and self._ids[row].as_py() == image_id else None

    def row_of_content(self, sha256: str) -> int | None:
        """Row of the first photo whose file has these bytes, None where there is none."""
        row = pa.compute.index(self.photos["sha256"], sha256).as_py()
        return None if row < 0 else int(row)

    @cached_property
    def _ids(self) -> pa.ChunkedArray:
        return self.photos["image_id"]

    def write(self, folder: Path) -> None:
        """Write into the empty `folder`; the same index gives the same bytes."""
        self.neighbours.write(folder / _FAISS.format(self.encoder))
        write_table(self.photos, folder / _PHOTOS, INDEXED)
        for name, vectors in self.vectors.items():
            vectors.write(folder / _VECTORS / f"{name}.npy")
        for name, values in self.prepared.items():
            write_array(folder / _PREPARED / f"{name}.npy", values)
        described = self.describe() | {_CHECKSUMS: checksums(folder)}
        (folder / _DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")

    def describe(self) -> dict[str, object]:
        """What index.json says: the encoders and their identities, the size and the kind."""
        return {
            "encoder": self.encoder,
            "encoders": {name: vectors.metadata for name, vectors in self.vectors.items()},
            "n_images": len(self.photos),
            "dim": self.vectors[self.encoder].dim,
            "prepared": list(self.prepared),
            "prepared_for": self.prepared_for,
            **self.neighbours.describe(),
            **self.about,
        }

    @classmethod
    def load(cls, folder: Path, *, whole: bool = False) -> "Index":
        """Read what `write` wrote, FAISS's file and the photos by their checksums.

        Args:
            folder: of the index, or a link to it.
            whole: check all files, also those that are mapped, so that searches read only the rows they want.

        Raises:
            SearchError: it is missing, damaged or of another version.
            SchemaError: likewise its table of photos.
        """
        version = folder.resolve()  # of kadr.io.versions: all files are of the same one
        try:
            described = json.loads((version / _DESCRIPTION).read_text(encoding="utf-8"))
        except OSError as error:
            raise SearchError(
                f"{folder}: there is no index; make one with `dvc repro index`, or with `kadr index` of your own photos"
            ) from error
        except ValueError as error:
            raise SearchError(_DAMAGED.format(folder, error)) from error
        try:
            encoder: str = described["encoder"]
            vectors = {
                name: PhotoVectors.map(version / _VECTORS / f"{name}.npy", metadata)
                for name, metadata in described["encoders"].items()
            }
            prepared = {
                name: np.load(version / _PREPARED / f"{name}.npy", mmap_mode="r", allow_pickle=False)
                for name in described["prepared"]
            }
            prepared_for: str = described["prepared_for"]
            searched, written = _FAISS.format(encoder), described.get(_CHECKSUMS, {})
            if broken := damaged(version, {name: written[name] for name in written if whole or name == searched}):
                raise ValueError(f"{', '.join(broken)} damaged: not as it was written")
            neighbours = Nearest.read(version / searched, described)
        except (AttributeError, EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
            raise SearchError(_DAMAGED.format(folder, error)) from error
        own = {"encoder", "encoders", "n_images", "dim", "prepared", "prepared_for", _CHECKSUMS, *neighbours.describe()}
        about = {key: value for key, value in described.items() if key not in own}
        photos = read_table(version / _PHOTOS, INDEXED).combine_chunks()
        return cls(encoder, photos, vectors, neighbours, about, prepared, prepared_for)


def build_index(
    images: pa.Table,
    vectors: Mapping[str, Embeddings],
    encoder: str,
    exact_max: int,
    *,
    texts: Vectors | None = None,
    about: Mapping[str, object] | None = None,
) -> Index:
    """Make an index over the photos that ingest found good.

    Args:
        images: schema IMAGES, and any more columns of INDEXED; photos whose status is not `ok` are left out.
        vectors: encoder name -> embeddings of at least those photos.
        encoder: the one of `vectors` whose space texts share.
        exact_max: up to so many photos the search is exact.
        texts: (n, d) vectors of texts, to measure the recall by; photos' own where there are none.
        about: what index.json is to say beside.

    Raises:
        SearchError: no photo is left.
    """
    good = images.filter(pa.compute.equal(images["status"], "ok")).sort_by("image_id")
    if not len(good):
        raise SearchError(
            f"none of {len(images)} photos can be indexed: ingest set all aside, or index.splits (params.yaml) names "
            "only splits without photos; see data/tables/quarantine.parquet, or name other splits"
        )
    ids = good["image_id"].to_pylist()
    chosen = {name: PhotoVectors.of(table, ids) for name, table in vectors.items()}
    return Index(encoder, indexed(good), chosen, Nearest.build(chosen[encoder], exact_max, texts), about or {})


def _halved(prepared: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Long rows of float32 as float16, as the vectors are."""
    return {
        name: of.astype(np.float16) if of.dtype == np.float32 and of.ndim > 1 and of.shape[1] > _SHORT else of
        for name, of in prepared.items()
    }


def indexed(images: pa.Table) -> pa.Table:
    """Photos as schema INDEXED, in one chunk; what `images` does not have is null, the row is numbered."""
    columns = {"row": pa.array(range(len(images)), pa.int64())} | {
        field.name: images[field.name] if field.name in images.column_names else pa.nulls(len(images), field.type)
        for field in INDEXED
        if field.name != "row"
    }
    return pa.table(columns).cast(INDEXED).combine_chunks()
