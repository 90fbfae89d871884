"""Scan and embed the images of one part of a large collection, and store the results in the folder of the part.

Scans and vectors are saved while they are computed, so an interrupted run can resume. Several processes and machines
can embed different parts at the same time. A lock file protects each part.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pandas as pd
import pyarrow as pa

from kadr.collection.image_text import add_image_texts, check_ocr
from kadr.collection.interim_index import EmbeddedScans
from kadr.collection.known_images import is_large_share
from kadr.collection.part_plan import PartPlan
from kadr.collection.scan import SCAN_MODULE
from kadr.collection.scan_cache import ScanCache
from kadr.collection.update import STEPS, scan_files
from kadr.collection.vectors import ScanEmbedder, VectorsByEncoder
from kadr.errors import FileProblem, KadrError, SearchError
from kadr.index.image_vectors import ImageVectors
from kadr.io.bounded_decoding import prepare_workers
from kadr.io.schemas import INDEXED_IMAGES, read_table, required, write_table
from kadr.io.storage import exclusive_lock, sha256
from kadr.io.text_files import write_json
from kadr.params import DecodingParams, OcrScript
from kadr.progress import OverallProgress, overall_progress

PART_IMAGES = pa.schema(
    [
        *(field for field in INDEXED_IMAGES if field.name not in ("row", "split")),
        required("status", pa.string()),  # ok, or the reason why the image cannot be used
    ]
)
"""Schema of the images of a part, sorted by image_id."""

IMAGES_NAME = "images.parquet"
"""File name of the images of a part."""

_RECORD = "part.json"
_CHUNK_SIZE = 8192  # few enough files to be in the cache of the operating system when they are read again


class PartBusyError(SearchError):
    """Another process is embedding the part."""


@dataclass(frozen=True)
class EmbeddedPart:
    """The results of a part, which `embed_part` wrote.

    Attributes:
        folder: folder of the part.
        manifest: SHA-256 of the manifest.
        encoders: encoder name -> metadata of its vectors.
        ocr: script of the texts that were read in the images, or None.
        statuses: status (ok, or the reason why an image cannot be used) -> number of images.
    """

    folder: Path
    manifest: str
    encoders: Mapping[str, Mapping[str, str]]
    ocr: OcrScript | None
    statuses: Mapping[str, int]

    @classmethod
    def read(cls, plan: PartPlan, part: str) -> "EmbeddedPart | None":
        """Return the results of a part. None if the part is not embedded, or if its manifest has changed since."""
        folder = plan.part_folder(part)
        try:
            found = cls(folder, **json.loads((folder / _RECORD).read_text(encoding="utf-8")))
        except (OSError, TypeError, ValueError):
            return None
        return found if found.manifest == plan.manifests[part] else None

    def read_images(self) -> pa.Table:
        """Return the images, with the schema PART_IMAGES."""
        return read_table(self.folder / IMAGES_NAME, PART_IMAGES)

    def map_vectors(self, encoder: str) -> ImageVectors:
        """Memory-map the vectors of the images whose status is `ok`, in the order of `read_images`."""
        return ImageVectors.map(vectors_path(self.folder, encoder), dict(self.encoders[encoder]))


@dataclass(frozen=True)
class PartEmbedder:
    """Embed parts, one after another. The encoders are loaded once.

    Attributes:
        plan: plan of the collection.
        embed: function that embeds scanned images.
        decoding: settings of the image decoder.
        ocr: script of the text to read in the images. None reads no text.
    """

    plan: PartPlan
    embed: ScanEmbedder
    decoding: DecodingParams
    ocr: OcrScript | None = None

    def embed_missing(self, parts: Sequence[str]) -> list[str]:
        """Embed the parts that are not embedded and that no other process is embedding.

        Args:
            parts: names of parts.

        Returns:
            Names of the parts that other processes are embedding.

        Raises:
            SearchError: a large share of the image files of a part cannot be read.
        """
        check_ocr(self.ocr)
        busy = []
        with self._progress(parts, [part for part in parts if not self.is_embedded(part)]) as bar:
            for part in parts:
                if not self.is_embedded(part):  # another process may have embedded the part in the meantime
                    try:
                        self._embed_part(part, bar)
                    except PartBusyError:
                        busy.append(part)
        return busy

    def embed_again(self, parts: Sequence[str]) -> None:
        """Embed parts, also if they are embedded. Images that could not be used in an earlier run are tried again.

        Args:
            parts: names of parts.

        Raises:
            PartBusyError: another process is embedding one of the parts.
            SearchError: a large share of the image files of a part cannot be read.
        """
        check_ocr(self.ocr)
        with self._progress(parts, parts) as bar:
            for part in parts:
                self._embed_part(part, bar)

    def is_embedded(self, part: str) -> bool:
        """Return whether a part was embedded with these encoders and settings."""
        found = EmbeddedPart.read(self.plan, part)
        return found is not None and found.encoders == self.embed.metadata and found.ocr == self.ocr

    def _progress(self, parts: Sequence[str], missing: Sequence[str]) -> AbstractContextManager[OverallProgress]:
        """Show the progress in images: those of the missing parts, and those of all parts."""
        n_images, n_missing = (sum(self.plan.images[part] for part in names) for names in (parts, missing))
        return overall_progress("embed parts", n_images, STEPS, n_done=n_images - n_missing)

    def _embed_part(self, part: str, bar: OverallProgress) -> None:
        """Scan and embed the images of one part, and write the results."""
        folder = self.plan.part_folder(part)
        with _lock(folder, part):
            manifest = sha256(self.plan.manifest(part))
            images, vectors = self._embed_files(self.plan.read_files(part), folder, bar)
            _check_files(images, part)
            texts = add_image_texts(images[images["status"] == "ok"], self.ocr, folder, self.decoding)["image_text"]
            images = images.assign(image_text=texts.reindex(images.index)).sort_values("image_id", ignore_index=True)
            ids = images.loc[images["status"] == "ok", "image_id"].tolist()
            (folder / _RECORD).unlink(missing_ok=True)  # the part is embedded when all its files are written
            for name, source in vectors.items():
                path = vectors_path(folder, name)
                path.unlink(missing_ok=True)  # a process may have mapped the old vectors
                ImageVectors.collect(source, ids, path)
            table = pa.Table.from_pandas(images, preserve_index=False).replace_schema_metadata(None)
            write_table(table, folder / IMAGES_NAME, PART_IMAGES)
            metadata = {name: dict(source.metadata) for name, source in vectors.items()}
            write_record(EmbeddedPart(folder, manifest, metadata, self.ocr, Counter(images["status"])))

    def _embed_files(
        self, files: pd.DataFrame, folder: Path, bar: OverallProgress
    ) -> tuple[pd.DataFrame, VectorsByEncoder]:
        """Scan and embed files in chunks, and return the scans, sorted by path, and the vectors."""
        prepare_workers(SCAN_MODULE)
        cache, embedded = ScanCache(folder, None, self.decoding), EmbeddedScans()
        for start in range(0, len(files), _CHUNK_SIZE):
            chunk = files.iloc[start : start + _CHUNK_SIZE]
            with bar.part(len(chunk)):
                embedded.add(*self.embed(scan_files(cache, chunk), folder / "cache"))
        images = embedded.scans
        cache.forget(images.loc[images["status"] == "changed", "path"].tolist())
        return images, embedded.vectors


def write_record(part: EmbeddedPart) -> None:
    """Write the record of a part after all its other files. The part is embedded from then on."""
    write_json(part.folder / _RECORD, {name: value for name, value in vars(part).items() if name != "folder"})


def vectors_path(folder: Path, encoder: str) -> Path:
    """Return the path of the vectors of one encoder in the folder of a part."""
    return folder / "vectors" / f"{encoder}.npy"


@contextmanager
def _lock(folder: Path, part: str) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    busy: KadrError = PartBusyError(
        f"{folder}: another process is embedding part {part}. Wait until that process ends."
    )
    with exclusive_lock(folder / "lock", busy):
        yield


def _check_files(images: pd.DataFrame, part: str) -> None:
    """Raise SearchError if a large share of the image files cannot be read, e.g. because a disk is disconnected."""
    failed = images.loc[images["status"].isin(get_args(FileProblem)), "path"].tolist()
    if is_large_share(len(failed), len(images)):
        raise SearchError(
            f"Part {part}: {len(failed):,} of {len(images):,} image files cannot be read or have changed, e.g. "
            f"{failed[0]}. Connect the disk or network folder, or list the images again with `kadr scale plan`, and "
            "run the command again."
        )
