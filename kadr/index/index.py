"""The index itself: FAISS for the nearest vectors, a table of photos, and vectors for the relevance model."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from kadr.embeddings import Embeddings, Rows, Vectors
from kadr.errors import SearchError
from kadr.schemas import INDEXED, read_table, write_table

if TYPE_CHECKING:
    import faiss

KIND = "SQfp16"  # FAISS's name of an exact search over float16 vectors

_DESCRIPTION = "index.json"
_PHOTOS = "metadata.parquet"
_FAISS = "{}.faiss"
_VECTORS = "vectors"


@dataclass(frozen=True)
class Index:
    """Photos that can be searched by a vector.

    Attributes:
        encoder: name of the encoder whose space photos and texts share.
        photos: schema INDEXED; row i is the photo of vector i.
        vectors: encoder name -> unit vectors of the photos, in the order of `photos`.
        nearest_by: the FAISS index over the vectors of `encoder`.
    """

    encoder: str
    photos: pa.Table
    vectors: Mapping[str, Embeddings]
    nearest_by: "faiss.Index"

    def nearest(self, vector: Vectors, k: int) -> tuple[Rows, Vectors]:
        """The k photos (or all, where there are fewer) whose vectors are nearest to `vector`, nearest first.

        Args:
            vector: (1, d) float32, unit norm, by `encoder`.
            k: at least 1.

        Returns:
            Rows of `photos` (n,) int64 and cosines (n,) float32; equal cosines stand in the order of rows.
        """
        cosines, rows = self.nearest_by.search(vector, min(k, len(self.photos)))
        order = np.lexsort((rows[0], -cosines[0]))
        return rows[0][order], cosines[0][order]

    def write(self, folder: Path) -> None:
        """Write into the empty `folder`; the same index gives the same bytes."""
        faiss = _faiss()
        faiss.write_index(self.nearest_by, str(folder / _FAISS.format(self.encoder)))
        write_table(self.photos, folder / _PHOTOS, INDEXED)
        for name, embeddings in self.vectors.items():
            embeddings.write(folder / _VECTORS / f"{name}.parquet")
        (folder / _DESCRIPTION).write_text(json.dumps(self.describe(), indent=2) + "\n", encoding="utf-8")

    def describe(self) -> dict[str, object]:
        """What index.json says: the encoder and its identity, the size and the kind."""
        return {
            "encoder": self.encoder,
            "encoder_metadata": self.vectors[self.encoder].metadata,
            "encoders": list(self.vectors),
            "n_images": len(self.photos),
            "dim": self.vectors[self.encoder].dim,
            "kind": KIND,
        }

    @classmethod
    def load(cls, folder: Path) -> "Index":
        """Read what `write` wrote. Raises SearchError where it is missing or damaged."""
        faiss = _faiss()
        try:
            described = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
            encoder: str = described["encoder"]
            vectors = {name: Embeddings.read(folder / _VECTORS / f"{name}.parquet") for name in described["encoders"]}
            nearest_by = faiss.read_index(str(folder / _FAISS.format(encoder)))
        except FileNotFoundError as error:
            raise SearchError(f"{folder}: there is no index; make one with `dvc repro index`") from error
        except (KeyError, RuntimeError, ValueError) as error:
            raise SearchError(
                f"{folder}: the index cannot be read ({error}); make it with `dvc repro -f index`"
            ) from error
        return cls(encoder, read_table(folder / _PHOTOS, INDEXED), vectors, nearest_by)


def build_index(images: pa.Table, vectors: Mapping[str, Embeddings], encoder: str) -> Index:
    """Make an index over the photos that ingest found good.

    Args:
        images: schema IMAGES; photos whose status is not `ok` are left out.
        vectors: encoder name -> embeddings of at least those photos.
        encoder: the one of `vectors` whose space texts share.

    Raises:
        SearchError: no photo is left.
    """
    good = images.filter(pa.compute.equal(images["status"], "ok")).sort_by("image_id")
    if not len(good):
        raise SearchError(
            f"none of {len(images)} photos can be indexed: ingest set all aside, or index.splits (params.yaml) names "
            "only splits without photos; see data/tables/quarantine.parquet, or name other splits"
        )
    photos = good.append_column("row", pa.array(range(len(good)), pa.int64())).select(INDEXED.names).cast(INDEXED)
    ids: Sequence[str] = photos["image_id"].to_pylist()
    chosen = {name: Embeddings(ids, table.select(ids), table.metadata) for name, table in vectors.items()}
    faiss = _faiss()
    nearest_by = faiss.index_factory(chosen[encoder].dim, KIND, faiss.METRIC_INNER_PRODUCT)
    nearest_by.add(chosen[encoder].vectors)
    return Index(encoder, photos, chosen, nearest_by)


def _faiss() -> ModuleType:
    """FAISS, without its log of which processor's build it found."""
    logging.getLogger("faiss.loader").setLevel(logging.WARNING)
    import faiss

    return faiss
