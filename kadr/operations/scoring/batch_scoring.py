"""Score a table of image-text pairs, using embeddings from the embedding cache.

Scores are written to OUT/model=<key>/part-*.parquet. Rows of the last input that cannot be scored are written to
OUT/_quarantine.parquet. Each part is written atomically, so an interruption loses only the current part.
"""

import hashlib
import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kadr.embed import EmbeddingCache, embed_images, embed_texts, undecodable_images
from kadr.embed.reader import map_in_threads
from kadr.encoders import TextEncoder
from kadr.encoders.precomputed import PrecomputedImageEncoder
from kadr.encoders.precomputed_texts import PrecomputedTextEncoder
from kadr.errors import InputError
from kadr.features import Images, Texts
from kadr.io.embeddings import Embeddings
from kadr.io.fingerprints import Fingerprints
from kadr.io.schemas import write_table
from kadr.io.storage import exclusive_lock, read_bytes
from kadr.io.texts import normalise_text
from kadr.operations.scoring.pair_store import QUARANTINE, SCORES, SHA256, PairStore, pairs_digest
from kadr.operations.scoring.scorer import IMAGE_COLUMN, RELEVANCE_COLUMN, TEXT_COLUMN, Scorer
from kadr.progress import progress

logger = logging.getLogger(__name__)

PAIRS_PER_PART = 4096
"""Number of pairs that are scored together and written to one file. This number limits the memory usage."""

QUARANTINE_FILE = "_quarantine.parquet"  # Parquet readers skip files whose names start with an underscore
_N_THREADS = 8
_BATCH_SIZE = 16


@dataclass(frozen=True)
class BatchScorer:
    """Scores image-text pairs with embeddings from the cache. Missing embeddings are computed and cached.

    Attributes:
        scorer: scorer with the encoders and the relevance model.
        model_digest: sha256 of the model folder, from `folder_digest`.
        cache_root: folder or address of the embedding cache.
        dtype: data type of the cached vectors.
    """

    scorer: Scorer
    model_digest: str
    cache_root: str
    dtype: str

    @property
    def key(self) -> str:
        """Key of 16 hexadecimal digits for the model and its encoders. Equal keys guarantee identical scores."""
        images = [(name, encoder.identity.key) for name, encoder in self.scorer.images.items()]
        texts = [(name, encoder.identity.key) for name, encoder in self.scorer.texts.items()]
        return hashlib.sha256(repr((self.model_digest, images, texts)).encode()).hexdigest()[:16]

    def score(self, pairs: pa.Table) -> tuple[pa.Table, dict[str, str]]:
        """Predict the relevance of image-text pairs. Pairs whose image cannot be decoded are not scored.

        Args:
            pairs: table with the columns photo (path or URI of an image), sha256 (of the image file) and text.

        Returns:
            The scored pairs in the schema SCORES, and the status of each undecodable image, by sha256.

        Raises:
            InputError: an image file is missing or has changed since its sha256 was computed.
        """
        images, undecodable = self._embed_images(pairs)
        valid = pairs.filter(pa.array([key not in undecodable for key in pairs[SHA256].to_pylist()], pa.bool_()))
        if not len(valid):
            return SCORES.empty_table(), undecodable
        keys, image_rows = np.unique(valid[SHA256].to_numpy().astype(str), return_inverse=True)
        normalised = np.array([normalise_text(text) for text in valid[TEXT_COLUMN].to_pylist()], dtype=str)
        distinct, text_rows = np.unique(normalised, return_inverse=True)
        texts = distinct.tolist()
        text_vectors = {name: self._embed_texts(encoder, texts) for name, encoder in self.scorer.texts.items()}
        scores = self.scorer.model.predict(
            Images.select(images, keys.tolist()),
            Texts.select(text_vectors, {text: text for text in texts}),
            image_rows,
            text_rows,
        )
        return valid.append_column(RELEVANCE_COLUMN, pa.array(scores, pa.float64())), undecodable

    def _embed_images(self, pairs: pa.Table) -> tuple[dict[str, Embeddings], dict[str, str]]:
        """Return the image embeddings by encoder name, and the status of each undecodable image by sha256."""
        paths = dict(zip(pairs[SHA256].to_pylist(), pairs[IMAGE_COLUMN].to_pylist(), strict=True))
        columns = {"image_id": list(paths), "path": list(paths.values()), SHA256: list(paths)}
        table = pa.table(columns | {"status": ["ok"] * len(paths)})
        embeddings: dict[str, Embeddings] = {}
        undecodable: dict[str, str] = {}
        for name, encoder in self.scorer.images.items():
            if isinstance(encoder, PrecomputedImageEncoder):
                vectors, problems = encoder.select(table)
                embeddings[name] = vectors.load()
                undecodable |= problems
                continue
            cache = self._cache(encoder)
            embeddings[name] = embed_images(encoder, table, cache, _BATCH_SIZE).load()
            undecodable |= undecodable_images(table, embeddings[name], cache)
        return embeddings, undecodable

    def _embed_texts(self, encoder: TextEncoder, texts: list[str]) -> Embeddings:
        """Embed normalised texts. Precomputed vectors are not cached, because their files can change."""
        if isinstance(encoder, PrecomputedTextEncoder):
            return Embeddings(texts, encoder.transform(texts), encoder.identity.metadata)
        return embed_texts(encoder, texts, texts, self._cache(encoder), _BATCH_SIZE)

    def _cache(self, encoder: Any) -> EmbeddingCache:
        return EmbeddingCache(self.cache_root, encoder.identity, encoder.dim, self.dtype)


def score_pairs(source: str, out: Path, scorer: BatchScorer) -> dict[str, Any]:
    """Score all pairs of a table that have no score in the output folder yet.

    Args:
        source: path or fsspec address of a Parquet or text file with the columns photo (path or URI) and text.
        out: folder for the scores.
        scorer: models that predict the scores.

    Returns:
        model: key of the model and its encoders.
        n_scored: number of pairs scored by this call.
        n_known: number of pairs that already had a score.
        n_set_aside: number of rows that cannot be scored.
        reasons: number of rows that cannot be scored, by reason.

    Raises:
        InputError: the input or an earlier score file cannot be read, or another process writes to the folder.
    """
    folder = out / f"model={scorer.key}"
    folder.mkdir(parents=True, exist_ok=True)
    n_scored, undecodable = 0, dict[str, str]()
    with _exclusive_work_folder(out) as work, PairStore.read(source, work) as pairs:
        pairs.add_images(_read_images(pairs.image_paths(), out / "_photos.parquet"))
        n_valid, n_unscored = pairs.select_unscored(folder)
        with progress("score pairs", n_unscored) as advance:
            for batch in pairs.unscored_batches(PAIRS_PER_PART):
                scores, failures = scorer.score(batch)
                if len(scores):
                    write_table(scores, folder / f"part-{pairs_digest(scores)}.parquet", SCORES)
                undecodable |= failures
                n_scored += len(scores)
                advance(len(batch))
        quarantine = pairs.quarantined_rows(undecodable)
        write_table(quarantine, out / QUARANTINE_FILE, QUARANTINE)
    reasons = dict(sorted(Counter(quarantine["reason"].to_pylist()).items()))
    counts = {"n_scored": n_scored, "n_known": n_valid - n_unscored, "n_set_aside": len(quarantine)}
    return {"model": scorer.key, **counts, "reasons": reasons}


@contextmanager
def _exclusive_work_folder(out: Path) -> Iterator[Path]:
    """Lock the output folder for this process, and yield an empty work folder inside it."""
    work = out / "_work"
    busy = InputError(
        f"Another process is writing scores to {out}. Wait until that process ends, or choose another folder."
    )
    with exclusive_lock(out / "_lock", busy):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _read_images(paths: Sequence[str], fingerprints: Path) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield (path, sha256, read error) for each image. Unchanged local files are not read again."""
    local = [path for path in paths if "://" not in path]
    known = dict(zip(local, Fingerprints(fingerprints).sha256(local), strict=True))
    with progress("read images", len(paths)) as advance:
        for image in map_in_threads(lambda path: _read_image(path, known.get(path)), paths, _N_THREADS, 8 * _N_THREADS):
            advance(1)
            yield image


def _read_image(path: str, known_sha256: str | None) -> tuple[str, str | None, str | None]:
    if known_sha256 is not None:
        return path, known_sha256, None
    try:
        return path, hashlib.sha256(read_bytes(path)).hexdigest(), None
    except (OSError, ValueError, ImportError) as error:
        return path, None, f"the image cannot be read: {getattr(error, 'strerror', None) or error}"
