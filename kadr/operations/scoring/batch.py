"""The batch scoring part's work: vectors from the embedding cache, relevances written part by part.

OUT/model=<key>/part-*.parquet hold the scores, OUT/_quarantine.parquet what was set aside of the last input. A part is
written whole; who is killed loses the part in flight alone.
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

from kadr.embed import EmbeddingCache, bad_photos, embed_images, embed_texts
from kadr.embed.reader import in_threads
from kadr.errors import InputError
from kadr.features import Images, Texts
from kadr.io.embeddings import Embeddings
from kadr.io.fingerprints import Fingerprints
from kadr.io.schemas import write_table
from kadr.io.storage import alone, read_bytes
from kadr.io.texts import normalise_text
from kadr.operations.scoring.pair_store import QUARANTINE, SCORES, SHA256, Pairs, digest_of
from kadr.operations.scoring.scorer import PHOTO, PREDICTED, TEXT, Scorer
from kadr.progress import progress

logger = logging.getLogger(__name__)

PART = 4096  # pairs that are in memory at once: their vectors, and about a hundred features each
_THREADS = 8
_BATCH = 16


@dataclass(frozen=True)
class BatchScorer:
    """Scores pairs with vectors from the embedding cache; what it lacks is computed into it.

    Attributes:
        scorer: the encoders and the model.
        model_digest: of the model's files.
        root: of the embedding cache.
        dtype: how the cache keeps a vector.
    """

    scorer: Scorer
    model_digest: str
    root: str
    dtype: str

    @property
    def key(self) -> str:
        """16 hexadecimal digits, the same where the scores are: of the model and its encoders."""
        images = [(name, encoder.identity.key) for name, encoder in self.scorer.images.items()]
        texts = [(name, encoder.identity.key) for name, encoder in self.scorer.texts.items()]
        return hashlib.sha256(repr((self.model_digest, images, texts)).encode()).hexdigest()[:16]

    def score(self, pairs: pa.Table) -> tuple[pa.Table, dict[str, str]]:
        """Schema SCORES of the pairs (photo, sha256, text) whose photo decodes; sha256 -> why, of photos that do not.

        Raises:
            InputError: a photo is gone or has changed since it was looked at.
        """
        images, bad = self._images(pairs)
        good = pairs.filter(pa.array([key not in bad for key in pairs[SHA256].to_pylist()], pa.bool_()))
        if not len(good):
            return SCORES.empty_table(), bad
        keys, image_rows = np.unique(good[SHA256].to_numpy().astype(str), return_inverse=True)
        words = np.array([normalise_text(text) for text in good[TEXT].to_pylist()], dtype=str)
        distinct, text_rows = np.unique(words, return_inverse=True)
        asked = distinct.tolist()
        texts = {
            name: embed_texts(encoder, asked, asked, self._cache(encoder), _BATCH)
            for name, encoder in self.scorer.texts.items()
        }
        photos, said = Images.select(images, keys.tolist()), Texts.select(texts, {text: text for text in asked})
        scores = self.scorer.model.predict(photos, said, image_rows, text_rows)
        return good.append_column(PREDICTED, pa.array(scores, pa.float64())), bad

    def _images(self, pairs: pa.Table) -> tuple[dict[str, Embeddings], dict[str, str]]:
        """Encoder -> vectors of the photos, by sha256; and those that do not decode, with their status."""
        path_of = dict(zip(pairs[SHA256].to_pylist(), pairs[PHOTO].to_pylist(), strict=True))
        columns = {"image_id": list(path_of), "path": list(path_of.values()), SHA256: list(path_of)}
        photos = pa.table(columns | {"status": ["ok"] * len(path_of)})
        images: dict[str, Embeddings] = {}
        bad: dict[str, str] = {}
        for name, encoder in self.scorer.images.items():
            cache = self._cache(encoder)
            images[name] = embed_images(encoder, photos, cache, _BATCH)
            bad |= bad_photos(photos, images[name], cache)
        return images, bad

    def _cache(self, encoder: Any) -> EmbeddingCache:
        return EmbeddingCache(self.root, encoder.identity, encoder.dim, self.dtype)


def score_pairs(source: str, out: Path, scorer: BatchScorer) -> dict[str, Any]:
    """Score what is new in a table of pairs.

    Args:
        source: a file of Parquet or text with columns photo (a path or URI) and text; a path or an fsspec address.
        out: the folder of scores.
        scorer: what scores.

    Returns:
        model: the key of the scores; n_scored, n_known and n_set_aside: pairs scored now, pairs whose score was there,
        rows without one; reasons: why -> rows.

    Raises:
        InputError: the input or a part of the output cannot be read, or another process is writing there.
    """
    folder = out / f"model={scorer.key}"
    folder.mkdir(parents=True, exist_ok=True)
    n_scored, bad = 0, dict[str, str]()
    with _alone(out) as work, Pairs.read(source, work) as pairs:
        pairs.know(_look_at(pairs.photos(), out / "_photos.parquet"))
        n_good, n_todo = pairs.choose(folder)
        with progress("score pairs", n_todo) as advance:
            for batch in pairs.todo(PART):
                scores, undecodable = scorer.score(batch)
                if len(scores):
                    write_table(scores, folder / f"part-{digest_of(scores)}.parquet", SCORES)
                bad |= undecodable
                n_scored += len(scores)
                advance(len(batch))
        aside = pairs.set_aside(bad)
        write_table(aside, out / "_quarantine.parquet", QUARANTINE)  # readers of the folder pass by what begins with _
    reasons = dict(sorted(Counter(aside["reason"].to_pylist()).items()))
    counts = {"n_scored": n_scored, "n_known": n_good - n_todo, "n_set_aside": len(aside)}
    return {"model": scorer.key, **counts, "reasons": reasons}


@contextmanager
def _alone(out: Path) -> Iterator[Path]:
    """An empty folder to work in, for the only process that scores into `out`."""
    work = out / "_work"
    busy = InputError(f"{out}: another process is scoring into it; wait until it is done")
    with alone(out / "_lock", busy):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _look_at(photos: Sequence[str], memory: Path) -> Iterator[tuple[str, str | None, str | None]]:
    """Each photo, its sha256, and why it cannot be read; a file here that has not changed is not read again."""
    here = [photo for photo in photos if "://" not in photo]
    known = dict(zip(here, Fingerprints(memory).sha256(here), strict=True))
    with progress("look at photos", len(photos)) as advance:
        for found in in_threads(lambda photo: _look(photo, known.get(photo)), photos, _THREADS, 8 * _THREADS):
            advance(1)
            yield found


def _look(photo: str, known: str | None) -> tuple[str, str | None, str | None]:
    if known is not None:
        return photo, known, None
    try:
        return photo, hashlib.sha256(read_bytes(photo)).hexdigest(), None
    except (OSError, ValueError, ImportError) as error:
        return photo, None, f"the photo cannot be read: {getattr(error, 'strerror', None) or error}"
