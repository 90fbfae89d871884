"""The block `captioned`: how a text compares with the captions of the photos that look like the photo.

Views of a corpus of captioned photos, in the space of every text encoder:

- map: kernel ridge regression from photos to their mean caption predicts the photo's caption vector; its cosine to the
  text (DeViSE, Frome et al. 2013, by a kernel: kadr.features.kernel).
- near: the text's similarity to the best caption of each of the photo's nearest captioned photos: the mean over the
  5 and the 20 nearest, the best of 10, and the mean by softmax of the likeness to the photo, which lets the near ones
  count more (nearest-neighbour captioning, Devlin et al. 2015; attention weights, Vinyals et al. 2016).
- back: the photo's mean similarity to the captioned photos whose captions are nearest to the text.

And in words: the same regression predicts the share of the photo's captions that has each word. Over the text's words,
the mean share, the mean and the least of its lift over the corpus (kadr.features.words).
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from kadr.embeddings import Rows, Vectors
from kadr.errors import ModelError
from kadr.features.blocks import Features
from kadr.features.corpus import Corpus, join_spaces, nearest, unit
from kadr.features.inputs import Images, Texts
from kadr.features.kernel import KernelRidge, landmarks
from kadr.features.words import Vocabulary, lift
from kadr.schemas import CAPTIONS, read_table, write_table

CAPTION_TABLE = "captions.parquet"
VECTORS = "vectors.safetensors"
N_NEAREST = 60  # captioned photos that are near
TEMPERATURE = 0.05  # of the softmax over their likeness to the photo


@dataclass(frozen=True)
class Captioned:
    """A corpus and what was learned from it.

    Attributes:
        corpus: captioned photos and their captions.
        weights: of the kernel ridge regression from joined photo vectors, side by side: the centred caption vectors of
            each text encoder, then the words' shares above the mean; (n_landmarks, sum of d_text + n_words).
    """

    corpus: Corpus
    weights: Vectors

    @classmethod
    def fit(cls, corpus: Corpus) -> "Captioned":
        """Learn from the corpus. It holds no rated photo, so no fold has to be kept out of it."""
        counts = np.diff(corpus.starts)[:, None].astype(np.float32)
        means = [np.add.reduceat(v, corpus.starts[:-1]) / counts for v in corpus.captions.vectors.values()]
        shares = Vocabulary.of(corpus.captions.texts).shares(corpus.captions.texts, corpus.starts)
        centres = [*(v.mean(axis=0) for v in corpus.captions.vectors.values()), shares.mean(axis=0)]
        targets = np.concatenate([*means, shares], axis=1) - np.concatenate(centres)
        return cls(corpus, KernelRidge.fit(corpus.joined, targets).weights)

    def save(self, folder: Path) -> None:
        """Write the corpus and what was learned into `folder`; the same gives the same bytes."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        ids = pd.Index(self.corpus.images.ids)[self.corpus.photo]
        captions = {"caption_id": self.corpus.captions.ids, "image_id": ids, "text": self.corpus.captions.texts}
        write_table(pa.table(captions), folder / CAPTION_TABLE, CAPTIONS)
        parts = {"image": self.corpus.images.vectors, "text": self.corpus.captions.vectors}
        tensors = {f"{part}/{name}": np.ascontiguousarray(v) for part, of in parts.items() for name, v in of.items()}
        save_file(tensors | {"weights": np.ascontiguousarray(self.weights)}, folder / VECTORS)

    @classmethod
    def load(cls, folder: Path) -> "Captioned":
        """Read what `save` wrote. Raises ModelError where it is missing or damaged."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            tensors = load_file(folder / VECTORS)
            weights = tensors.pop("weights")
        except (OSError, KeyError, SafetensorError) as error:
            raise ModelError(f"{folder / VECTORS}: not readable ({error}); run `dvc repro train`") from error
        parts: dict[str, dict[str, Vectors]] = {"image": {}, "text": {}}
        for key, values in tensors.items():
            part, name = key.split("/", 1)
            parts[part][name] = values
        captions = read_table(folder / CAPTION_TABLE, CAPTIONS).to_pandas()
        image_ids, photo = np.unique(captions["image_id"].to_numpy(dtype=str), return_inverse=True)
        texts = Texts(captions["caption_id"].tolist(), captions["text"].tolist(), parts["text"])
        return cls(Corpus(Images(image_ids.tolist(), parts["image"]), texts, photo), weights)

    @cached_property
    def means(self) -> dict[str, Vectors]:
        """Text encoder -> (d,) mean caption vector."""
        return {name: vectors.mean(axis=0) for name, vectors in self.corpus.captions.vectors.items()}

    @cached_property
    def captions(self) -> dict[str, Vectors]:
        """Text encoder -> (n_captions, d) centred unit vectors."""
        return {name: self.centred(name, vectors) for name, vectors in self.corpus.captions.vectors.items()}

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The words that the regression predicts."""
        return Vocabulary.of(self.corpus.captions.texts)

    @cached_property
    def usual(self) -> Vectors:
        """(n_words,) mean share of a photo's captions that have each word."""
        usual: Vectors = self.vocabulary.shares(self.corpus.captions.texts, self.corpus.starts).mean(axis=0)
        return usual

    def centred(self, name: str, vectors: Vectors) -> Vectors:
        """Text vectors of encoder `name` as the regression and the captions have them."""
        return unit(vectors - self.means[name])

    def predict(self, joined: Vectors) -> tuple[dict[str, Vectors], Vectors]:
        """Of joined photo vectors: text encoder -> (n, d) unit caption vectors, and the words' shares (n, n_words)."""
        known = self.corpus.joined[landmarks(len(self.corpus.joined))]
        predicted = KernelRidge(known, self.weights).predict(joined)
        widths = [vectors.shape[1] for vectors in self.corpus.captions.vectors.values()]
        *vectors, words = np.split(predicted, np.cumsum(widths), axis=1)
        return dict(zip(self.means, map(unit, vectors), strict=True)), words + self.usual

    def features(self, images: Images, texts: Texts) -> Features:
        """The block for these photos and texts."""
        photos = join_spaces(images.vectors, list(self.corpus.images.vectors))
        near, similarity = nearest(photos, self.corpus.joined, N_NEAREST)
        likeness = np.exp((similarity - similarity[:, :1]) / np.float32(TEMPERATURE))
        likeness /= likeness.sum(axis=1, keepdims=True)
        predicted, shares = self.predict(photos)
        views = [_View(self, name, photos, texts.vectors[name], predicted[name]) for name in predicted]
        words = _Words(self, texts, shares)
        length = np.array([len(text.split()) for text in texts.texts], dtype=np.float32)

        def fill(out: Vectors, image_rows: Rows, text_rows: Rows) -> None:
            for photo in np.unique(image_rows):
                pairs = np.flatnonzero(image_rows == photo)
                rows = text_rows[pairs]
                captions = self.corpus.captions_of(near[photo])
                columns = [column for view in views for column in view.columns(photo, rows, captions, likeness[photo])]
                density = np.full(len(rows), similarity[photo].mean(), dtype=np.float32)
                out[pairs] = np.stack([*columns, *words.columns(photo, rows), density, length[rows]], axis=1)

        names = [f"{view}.{name}" for name in predicted for view in _View.NAMES]
        return Features([*names, *_Words.NAMES, "near.density", "text.n_words"], fill)


class _View:
    """The corpus as one text encoder sees it, beside given photos and texts."""

    NAMES = ("map", "near5", "near20", "near.best", "near.soft", "back")

    def __init__(self, fitted: Captioned, name: str, photos: Vectors, texts: Vectors, mapped: Vectors) -> None:
        self._captions = fitted.captions[name]
        self._texts = fitted.centred(name, texts)
        self._photos = photos
        self._mapped = mapped
        found, _ = nearest(self._texts, self._captions, N_NEAREST)
        corpus = fitted.corpus
        self._back = np.stack([corpus.joined[corpus.photo[rows]].mean(axis=0) for rows in found])

    def columns(self, photo: int, rows: Rows, captions: tuple[Rows, Rows], likeness: Vectors) -> list[Vectors]:
        """The features NAMES of one photo with the texts `rows`.

        Args:
            photo: its row.
            rows: of the texts.
            captions: rows of the captions of its nearest photos, and where each photo's begin among them.
            likeness: (n_nearest,) what each of these photos counts.
        """
        texts = self._texts[rows]
        caption_rows, begins = captions
        best = np.maximum.reduceat(texts @ self._captions[caption_rows].T, begins, axis=1)
        near = [best[:, :5].mean(axis=1), best[:, :20].mean(axis=1), best[:, :10].max(axis=1), best @ likeness]
        return [texts @ self._mapped[photo], *near, self._back[rows] @ self._photos[photo]]


class _Words:
    """What is predicted of the words of given texts for given photos."""

    NAMES = ("words.share", "words.lift", "words.least", "words.n")

    def __init__(self, fitted: Captioned, texts: Texts, shares: Vectors) -> None:
        self._rows = fitted.vocabulary.rows(texts.texts)
        self._n = (self._rows >= 0).sum(axis=1).astype(np.float32)
        self._shares = shares
        self._usual = fitted.usual

    def columns(self, photo: int, rows: Rows) -> list[Vectors]:
        """The features NAMES of one photo with the texts `rows`; all are 0 for a text of unknown words."""
        n, words = self._n[rows], self._rows[rows]
        share = np.append(self._shares[photo], np.float32(0.0))[words]  # the filler -1 finds the 0 at the end
        raised = np.append(lift(self._shares[photo], self._usual), np.float32(0.0))[words]
        least = np.where(words >= 0, raised, np.inf).min(axis=1, initial=np.inf)
        known = np.maximum(n, np.float32(1.0))
        return [share.sum(axis=1) / known, raised.sum(axis=1) / known, np.where(n > 0, least, 0.0), n]
