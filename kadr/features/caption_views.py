"""What the block `captioned` sees: a corpus beside given photos and texts, in the space of meaning and in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kadr.features.caption_neighbours import best_captions
from kadr.features.caption_words import lift
from kadr.features.inputs import Texts
from kadr.io.embeddings import Rows, Vectors

if TYPE_CHECKING:
    from kadr.features.caption_features import Captioned

NEAREST = (5, 20, 60)  # how many captioned photos are near
N_BEST = 10  # of which the best caption is taken


class View:
    """The corpus beside given photos and texts, in the space of meaning."""

    NAMES = (
        *("map", "map.z_text", "map.z_photo", "kernel"),
        *(f"near{k}" for k in NEAREST),
        *("near.best", "near.soft"),
        *("near.z", "near.background", "back", "back.z"),
    )

    def __init__(
        self, fitted: "Captioned", photos: Vectors, texts: Vectors, prepared: Mapping[str, npt.NDArray[Any]]
    ) -> None:
        self._photos, self._texts = photos, texts
        self._mapped, self._kernel = (np.asarray(prepared[name], dtype=np.float32) for name in ("map", "kernel"))
        self._nearest, self._likeness = prepared["near"], prepared["likeness"]
        self._best, found = best_captions(texts, fitted.captions, fitted.corpus.starts, NEAREST[-1])
        self._near = Standard.of(self._best[:, fitted.background])
        self._map_of_text = Standard.of(texts @ fitted.background_mapped.T)
        self._map_of_photo = Standard(prepared["map_z"])
        self._back_of_photo = Standard(prepared["back"])
        corpus = fitted.corpus
        self._back = np.stack([corpus.joined[corpus.photo[rows]].mean(axis=0) for rows in found])

    def columns(self, image_rows: Rows, text_rows: Rows) -> list[Vectors]:
        """The features NAMES of n pairs, (n,) each."""
        texts = self._texts[text_rows]
        mapped = np.einsum("nd,nd->n", texts, self._mapped[image_rows])
        kernel = np.einsum("nd,nd->n", texts, self._kernel[image_rows])
        best = self._best[text_rows[:, None], self._nearest[image_rows]]
        near = [best[:, :k].mean(axis=1) for k in NEAREST]
        soft = np.einsum("nk,nk->n", best, self._likeness[image_rows])
        back = np.einsum("nd,nd->n", self._back[text_rows], self._photos[image_rows])
        return [
            *(mapped, self._map_of_text.z(mapped, text_rows), self._map_of_photo.z(mapped, image_rows), kernel),
            *(*near, best[:, :N_BEST].max(axis=1), soft),
            *(self._near.z(near[-1], text_rows), self._near.mean[text_rows]),
            *(back, self._back_of_photo.z(back, image_rows)),
        ]


class Words:
    """What is predicted of the words of given texts for given photos."""

    NAMES = ("words.share", "words.lift", "words.least", "words.n")

    def __init__(self, fitted: "Captioned", texts: Texts, shares: npt.NDArray[Any]) -> None:
        self._rows = fitted.vocabulary.rows(texts.texts)
        self._shares, self._usual = shares, fitted.usual

    def columns(self, image_rows: Rows, text_rows: Rows) -> list[Vectors]:
        """The features NAMES of n pairs, (n,) each; all are 0 for a text of unknown words."""
        words = self._rows[text_rows]
        known = words >= 0
        n = known.sum(axis=1).astype(np.float32)
        share = self._shares[image_rows[:, None], words].astype(np.float32)
        raised = lift(share, self._usual[words])
        least = np.where(known, raised, np.inf).min(axis=1, initial=np.inf)
        mean = [np.where(known, of, 0).sum(axis=1, dtype=np.float32) / np.maximum(n, 1) for of in (share, raised)]
        return [*mean, np.where(n > 0, least, 0).astype(np.float32), n]


@dataclass(frozen=True)
class Standard:
    """Mean and deviation of each row's background similarities: (n, 2)."""

    parts: Vectors

    @classmethod
    def of(cls, similarity: Vectors) -> "Standard":
        """Those of (n, n_background) similarities."""
        return cls(np.stack([similarity.mean(axis=1), similarity.std(axis=1) + np.float32(1e-6)], axis=1))

    @property
    def mean(self) -> Vectors:
        """(n,) means."""
        return self.parts[:, 0]

    def z(self, value: Vectors, rows: Rows) -> Vectors:
        """How many deviations a row's value lies above the row's background."""
        return np.asarray((value - self.parts[rows, 0]) / self.parts[rows, 1], dtype=np.float32)
