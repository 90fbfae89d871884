"""The block `captioned`: how a text compares with the captions of the photos that look like the photo.

Three views of a corpus of captioned photos, each in the space of every text encoder:

- map: a ridge regression from photos to captions predicts the photo's caption vector; its cosine to the text
  (DeViSE, Frome et al. 2013).
- near: the text's similarity to the best caption of each of the photo's k nearest captioned photos, averaged
  (nearest-neighbour captioning, Devlin et al. 2015).
- back: the photo's mean similarity to the captioned photos whose captions are nearest to the text.

A similarity says little where a photo or a text is similar to everything (hubness, Radovanovic et al. 2010), so each is
also given as a z-score against a background sample of the corpus.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from kadr.embeddings import Rows, Vectors
from kadr.errors import ModelError
from kadr.features.blocks import Features
from kadr.features.corpus import Corpus, best_captions, join_spaces, nearest, ridge_map, unit
from kadr.features.inputs import Images, Texts
from kadr.schemas import CAPTIONS, read_table, write_table

CAPTION_TABLE = "captions.parquet"
VECTORS = "vectors.safetensors"
N_BACKGROUND = 1000  # captioned photos that stand for all, for means and deviations
NEAREST = (5, 20, 60)  # how many captioned photos are near
RIDGE = 1e-4  # strength of the map's regression


@dataclass(frozen=True)
class Captioned:
    """A corpus and what was learned from it.

    Attributes:
        corpus: captioned photos and their captions.
        maps: text encoder -> (d_images, d_text) map from joined, centred photo vectors to centred caption vectors.
        means: text encoder -> (d_text,) mean caption vector.
    """

    corpus: Corpus
    maps: Mapping[str, Vectors]
    means: Mapping[str, Vectors]

    @classmethod
    def fit(cls, corpus: Corpus) -> "Captioned":
        """Learn the maps. The corpus holds no rated photo, so no fold has to be kept out of it."""
        photos: Vectors = corpus.joined - corpus.joined_mean
        means = {name: vectors.mean(axis=0) for name, vectors in corpus.captions.vectors.items()}
        counts = np.diff(corpus.starts)[:, None]
        sums: dict[str, Vectors] = {
            name: np.add.reduceat(v - means[name], corpus.starts[:-1]) for name, v in corpus.captions.vectors.items()
        }
        return cls(
            corpus,
            {name: ridge_map(photos, (of / counts).astype(np.float32), RIDGE) for name, of in sums.items()},
            means,
        )

    def save(self, folder: Path) -> None:
        """Write the corpus and the maps into `folder`; the same gives the same bytes."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        ids = pd.Index(self.corpus.images.ids)[self.corpus.photo]
        captions = {"caption_id": self.corpus.captions.ids, "image_id": ids, "text": self.corpus.captions.texts}
        write_table(pa.table(captions), folder / CAPTION_TABLE, CAPTIONS)
        parts = {
            "image": self.corpus.images.vectors,
            "text": self.corpus.captions.vectors,
            "map": self.maps,
            "mean": self.means,
        }
        tensors = {f"{part}/{name}": np.ascontiguousarray(v) for part, of in parts.items() for name, v in of.items()}
        save_file(tensors, folder / VECTORS)

    @classmethod
    def load(cls, folder: Path) -> "Captioned":
        """Read what `save` wrote. Raises ModelError where it is missing or damaged."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            tensors = load_file(folder / VECTORS)
        except (OSError, SafetensorError) as error:
            raise ModelError(f"{folder / VECTORS}: not readable ({error}); run `dvc repro train`") from error
        parts: dict[str, dict[str, Vectors]] = {"image": {}, "text": {}, "map": {}, "mean": {}}
        for key, values in tensors.items():
            part, name = key.split("/", 1)
            parts[part][name] = values
        captions = read_table(folder / CAPTION_TABLE, CAPTIONS).to_pandas()
        image_ids, photo = np.unique(captions["image_id"].to_numpy(dtype=str), return_inverse=True)
        texts = Texts(captions["caption_id"].tolist(), captions["text"].tolist(), parts["text"])
        return cls(Corpus(Images(image_ids.tolist(), parts["image"]), texts, photo), parts["map"], parts["mean"])

    @cached_property
    def captions(self) -> dict[str, Vectors]:
        """Text encoder -> (n_captions, d) centred unit vectors."""
        return {name: self.centred(name, vectors) for name, vectors in self.corpus.captions.vectors.items()}

    @cached_property
    def background(self) -> Rows:
        """Rows of the photos that stand for all, evenly spread over the corpus."""
        n_photos = len(self.corpus.images.ids)
        return np.unique(np.linspace(0, n_photos - 1, min(N_BACKGROUND, n_photos)).astype(np.int64))

    def centred(self, name: str, vectors: Vectors) -> Vectors:
        """Text vectors of encoder `name` as the maps and the captions have them."""
        return unit(vectors - self.means[name])

    def mapped(self, name: str, joined: Vectors) -> Vectors:
        """The caption vectors that the map predicts for joined photo vectors: (n, d_text), unit norm."""
        centred: Vectors = joined - self.corpus.joined_mean
        return unit(centred @ self.maps[name])

    def prepare(self, images: Images) -> dict[str, npt.NDArray[Any]]:
        """What the block needs of the photos alone, each (n_images, ...): kept, it makes a later `features` quick."""
        photos = join_spaces(images.vectors, list(self.corpus.images.vectors))
        near, similarity = nearest(photos, self.corpus.joined, NEAREST[-1])
        back = _Standard.of(photos @ self.corpus.joined[self.background].T)
        parts = {"near": near.astype(np.int32), "density": similarity.mean(axis=1), "back": back.parts}
        first = self.corpus.starts[self.background]
        for name in self.maps:
            mapped = self.mapped(name, photos)
            parts |= {f"map/{name}": mapped, f"z/{name}": _Standard.of(mapped @ self.captions[name][first].T).parts}
        return parts

    @cached_property
    def background_mapped(self) -> dict[str, Vectors]:
        """Text encoder -> (n_background, d_text) what the map predicts for the background."""
        return {name: self.mapped(name, self.corpus.joined[self.background]) for name in self.maps}

    def features(self, images: Images, texts: Texts) -> Features:
        """The block for these photos and texts."""
        photos = join_spaces(images.vectors, list(self.corpus.images.vectors))
        prepared = images.prepared or self.prepare(images)
        views = [_View(self, name, photos, texts.vectors[name], prepared) for name in self.maps]
        n_words = np.array([len(text.split()) for text in texts.texts], dtype=np.float32)

        def fill(out: Vectors, image_rows: Rows, text_rows: Rows) -> None:
            columns = [column for view in views for column in view.columns(image_rows, text_rows)]
            np.stack([*columns, prepared["density"][image_rows], n_words[text_rows]], axis=1, out=out)

        names = [f"{view}.{name}" for name in self.maps for view in _View.NAMES]
        return Features([*names, "near.density", "text.n_words"], fill)


class _View:
    """The corpus as one text encoder sees it, beside given photos and texts."""

    NAMES = (
        *("map", "map.z_text", "map.z_photo"),
        *(f"near{k}" for k in NEAREST),
        *("near.z", "near.background", "back", "back.z"),
    )

    def __init__(
        self, fitted: Captioned, name: str, photos: Vectors, texts: Vectors, prepared: Mapping[str, npt.NDArray[Any]]
    ) -> None:
        self._texts = fitted.centred(name, texts)
        self._photos = photos
        self._mapped = np.asarray(prepared[f"map/{name}"], dtype=np.float32)
        self._nearest = prepared["near"]
        self._best, found = best_captions(self._texts, fitted.captions[name], fitted.corpus.starts, NEAREST[-1])
        self._near = _Standard.of(self._best[:, fitted.background])
        self._map_of_text = _Standard.of(self._texts @ fitted.background_mapped[name].T)
        self._map_of_photo = _Standard(prepared[f"z/{name}"])
        self._back_of_photo = _Standard(prepared["back"])
        corpus = fitted.corpus
        self._back = np.stack([corpus.joined[corpus.photo[rows]].mean(axis=0) for rows in found])

    def columns(self, image_rows: Rows, text_rows: Rows) -> list[Vectors]:
        """The features NAMES of n pairs, (n,) each."""
        mapped = np.einsum("nd,nd->n", self._texts[text_rows], self._mapped[image_rows])
        best = self._best[text_rows[:, None], self._nearest[image_rows]]
        near = [best[:, :k].mean(axis=1) for k in NEAREST]
        back = np.einsum("nd,nd->n", self._back[text_rows], self._photos[image_rows])
        return [
            *(mapped, self._map_of_text.z(mapped, text_rows), self._map_of_photo.z(mapped, image_rows)),
            *near,
            *(self._near.z(near[-1], text_rows), self._near.mean[text_rows]),
            *(back, self._back_of_photo.z(back, image_rows)),
        ]


@dataclass(frozen=True)
class _Standard:
    """Mean and deviation of each row's background similarities: (n, 2)."""

    parts: Vectors

    @classmethod
    def of(cls, similarity: Vectors) -> "_Standard":
        return cls(np.stack([similarity.mean(axis=1), similarity.std(axis=1) + np.float32(1e-6)], axis=1))

    @property
    def mean(self) -> Vectors:
        return self.parts[:, 0]

    def z(self, value: Vectors, rows: Rows) -> Vectors:
        """How many deviations a row's value lies above the row's background."""
        return np.asarray((value - self.parts[rows, 0]) / self.parts[rows, 1], dtype=np.float32)
