"""Publish interim versions of an index, so that a search finds the images that are embedded so far."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
import pyarrow as pa

from kadr.collection.passed_over import PassedOver
from kadr.collection.set_aside import set_aside_table, write_set_aside
from kadr.collection.vectors import EmbedImages, VectorsByEncoder, join_vectors, keep_images
from kadr.index import Index, IndexingState, build_index
from kadr.io.versions import Versions

logger = logging.getLogger(__name__)


@dataclass
class EmbeddedScans:
    """The scans and vectors of the images that are embedded so far, in batches."""

    _scans: list[pd.DataFrame] = field(default_factory=list)
    _vectors: list[VectorsByEncoder] = field(default_factory=list)

    def add(self, vectors: VectorsByEncoder, scans: pd.DataFrame) -> None:
        """Add the result of a ScanEmbedder for one batch."""
        self._scans.append(scans)
        self._vectors.append(vectors)

    @property
    def scans(self) -> pd.DataFrame:
        """All scans, sorted by path."""
        return pd.concat(self._scans, ignore_index=True).sort_values("path", ignore_index=True)

    @property
    def vectors(self) -> VectorsByEncoder:
        """Encoder name -> vectors of all images."""
        return join_vectors(self._vectors)


class InterimIndex:
    """The interim versions of an index. They contain the images of the current index and all images embedded so far.

    The version that is current when the update starts stays on disk until the update ends.

    Args:
        versions: versions of the index.
        current: current index, or None if no index exists.
        encoder: name of the search encoder.
        details: additional entries of index.json.
        n_total: number of listed image files.
        memory_gb: memory of the vector index in GB. An interim version that needs less is exact. None is no limit.
    """

    def __init__(
        self,
        versions: Versions,
        current: Index | None,
        encoder: str,
        details: Mapping[str, object],
        n_total: int,
        *,
        memory_gb: float | None = None,
    ) -> None:
        self._versions, self._current, self._encoder = versions, current, encoder
        self._details, self._n_total, self._memory_gb = details, n_total, memory_gb

    def publish(self, embedded: EmbeddedScans, embed: EmbedImages, passed_over: PassedOver) -> None:
        """Publish a version with the images embedded so far. Nothing is published if there are no images.

        Args:
            embedded: scans and vectors of the images embedded so far.
            embed: function that embeds images.
            passed_over: files and folders that the listing passed over.
        """
        scans = embedded.scans
        valid = scans[scans["status"] == "ok"]
        kept, vectors = keep_images(self._current, self._rows_without(valid["image_id"]), embedded.vectors, embed)
        images = pd.concat([table for table in (valid, kept) if len(table)], ignore_index=True) if len(valid) else valid
        if images.empty:
            return
        table = pa.Table.from_pandas(images, preserve_index=False)
        state = IndexingState.now(len(scans), self._n_total)
        details = {**self._details, **state.to_details()}
        with self._versions.publish(interim=True) as folder:
            index = build_index(
                table,
                vectors,
                self._encoder,
                len(images),
                memory_gb=self._memory_gb,
                details=details,
                folder=folder,
            )
            index.write(folder)
            write_set_aside(set_aside_table(scans[scans["status"] != "ok"], passed_over), folder)
        logger.debug("%s: %d images can be searched now", self._versions.folder, len(images))

    def _rows_without(self, image_ids: "pd.Series[str]") -> Sequence[int]:
        """Return the rows of the images in the current index that are not in a list of image IDs."""
        if self._current is None:
            return []
        new = set(image_ids)
        return [row for row, image_id in enumerate(self._current.table["image_id"].to_pylist()) if image_id not in new]
