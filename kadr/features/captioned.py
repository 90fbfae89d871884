"""The block `captioned`: how a text compares with the captions of the photos that look like the photo.

Views of a corpus of captioned photos, in the space of every text encoder:

- map: a ridge regression from photos to captions predicts the photo's caption vector; its cosine to the text
  (DeViSE, Frome et al. 2013).
- kernel: the same by kernel ridge regression (kadr.features.kernel), which trusts what looks alike more.
- near: the text's similarity to the best caption of each of the photo's k nearest captioned photos, averaged
  (nearest-neighbour captioning, Devlin et al. 2015); the best of the 10 nearest; and the mean by softmax of the
  likeness to the photo (attention weights, Vinyals et al. 2016).
- back: the photo's mean similarity to the captioned photos whose captions are nearest to the text.

A similarity says little where a photo or a text is similar to everything (hubness, Radovanovic et al. 2010), so each is
also given as a z-score against a background sample of the corpus.

And in words: the kernel regression predicts the share of the photo's captions that has each word. Over the text's
words, the mean share, the mean and the least of its lift over the corpus (kadr.features.words).
"""

import json
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
from kadr.features.corpus import Corpus, join_spaces, nearest, ridge_map, unit
from kadr.features.inputs import Images, Texts
from kadr.features.kernel import KernelRidge, landmarks
from kadr.features.views import NEAREST, Standard, View, Words
from kadr.features.words import Vocabulary
from kadr.schemas import CAPTIONS, read_table, write_table

CAPTION_TABLE = "captions.parquet"
VECTORS = "vectors.safetensors"
WORDS = "words.json"
N_BACKGROUND = 1000  # captioned photos that stand for all, for means and deviations
TEMPERATURE = 0.05  # of the softmax over their likeness to the photo
RIDGE = 1e-4  # strength of the map's regression


@dataclass(frozen=True)
class Captioned:
    """A corpus and what was learned from it.

    Attributes:
        corpus: captioned photos and their captions.
        maps: text encoder -> (d_images, d_text) map from joined, centred photo vectors to centred caption vectors.
        means: text encoder -> (d_text,) mean caption vector.
        weights: of the kernel regression from joined photo vectors, side by side: the centred caption vectors of each
            text encoder, then the words' shares above the usual; (n_landmarks, sum of d_text + n_words).
        vocabulary: the words.
        usual: (n_words,) mean share of a photo's captions that have each word.
    """

    corpus: Corpus
    maps: Mapping[str, Vectors]
    means: Mapping[str, Vectors]
    weights: Vectors
    vocabulary: Vocabulary
    usual: npt.NDArray[np.float32]

    @classmethod
    def fit(cls, corpus: Corpus) -> "Captioned":
        """Learn from the corpus. It holds no rated photo, so no fold has to be kept out of it."""
        photos: Vectors = corpus.joined - corpus.joined_mean
        vectors, first = corpus.captions.vectors, corpus.starts[:-1]
        counts = np.diff(corpus.starts)[:, None].astype(np.float32)
        means = {name: of.mean(axis=0) for name, of in vectors.items()}
        captions: dict[str, Vectors] = {
            name: np.asarray(np.add.reduceat(of - means[name], first) / counts, dtype=np.float32)
            for name, of in vectors.items()
        }
        vocabulary = Vocabulary.of(corpus.captions.texts)
        shares = vocabulary.shares(corpus.captions.texts, corpus.starts)
        usual = shares.mean(axis=0)
        targets = np.concatenate([*captions.values(), shares - usual], axis=1)
        maps = {name: ridge_map(photos, of, RIDGE) for name, of in captions.items()}
        return cls(corpus, maps, means, KernelRidge.fit(corpus.joined, targets).weights, vocabulary, usual)

    def save(self, folder: Path) -> None:
        """Write the corpus and what was learned into `folder`; the same gives the same bytes."""
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
        tensors |= {"kernel/weights": np.ascontiguousarray(self.weights), "kernel/usual": self.usual}
        save_file(tensors, folder / VECTORS)
        (folder / WORDS).write_text(json.dumps(self.vocabulary.words), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Captioned":
        """Read what `save` wrote. Raises ModelError where it is missing or damaged."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            tensors = load_file(folder / VECTORS)
            weights, usual = tensors.pop("kernel/weights"), tensors.pop("kernel/usual")
            vocabulary = Vocabulary(json.loads((folder / WORDS).read_text(encoding="utf-8")))
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise ModelError(f"{folder}: not readable ({error}); run `dvc repro train`") from error
        parts: dict[str, dict[str, Vectors]] = {"image": {}, "text": {}, "map": {}, "mean": {}}
        for key, values in sorted(tensors.items()):
            part, name = key.split("/", 1)
            parts[part][name] = values
        captions = read_table(folder / CAPTION_TABLE, CAPTIONS).to_pandas()
        image_ids, photo = np.unique(captions["image_id"].to_numpy(dtype=str), return_inverse=True)
        texts = Texts(captions["caption_id"].tolist(), captions["text"].tolist(), parts["text"])
        corpus = Corpus(Images(image_ids.tolist(), parts["image"]), texts, photo)
        return cls(corpus, parts["map"], parts["mean"], weights, vocabulary, usual)

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

    def kernel(self, joined: Vectors) -> tuple[dict[str, Vectors], Vectors]:
        """What the kernel regression predicts of joined photo vectors.

        Returns:
            Text encoder -> (n, d_text) unit caption vectors, and the words' shares (n, n_words).
        """
        known = self.corpus.joined[landmarks(len(self.corpus.joined))]
        predicted = KernelRidge(known, self.weights).predict(joined)
        *captions, words = np.split(predicted, np.cumsum([len(mean) for mean in self.means.values()]), axis=1)
        return dict(zip(self.means, map(unit, captions), strict=True)), words + self.usual

    def prepare(self, images: Images) -> dict[str, npt.NDArray[Any]]:
        """What the block needs of the photos alone, each (n_images, ...): kept, it makes a later `features` quick."""
        photos = join_spaces(images.vectors, list(self.corpus.images.vectors))
        near, similarity = nearest(photos, self.corpus.joined, NEAREST[-1])
        back = Standard.of(photos @ self.corpus.joined[self.background].T)
        likeness = np.exp((similarity - similarity[:, :1]) / np.float32(TEMPERATURE))
        captions, shares = self.kernel(photos)
        parts = {
            "near": near.astype(np.int32),
            "density": similarity.mean(axis=1),
            "likeness": likeness / likeness.sum(axis=1, keepdims=True),
            "back": back.parts,
            "shares": shares.astype(np.float16),
        }
        parts |= {f"kernel/{name}": of for name, of in captions.items()}
        first = self.corpus.starts[self.background]
        for name in self.maps:
            mapped = self.mapped(name, photos)
            parts |= {f"map/{name}": mapped, f"z/{name}": Standard.of(mapped @ self.captions[name][first].T).parts}
        return parts

    @cached_property
    def background_mapped(self) -> dict[str, Vectors]:
        """Text encoder -> (n_background, d_text) what the map predicts for the background."""
        return {name: self.mapped(name, self.corpus.joined[self.background]) for name in self.maps}

    def features(self, images: Images, texts: Texts) -> Features:
        """The block for these photos and texts."""
        photos = join_spaces(images.vectors, list(self.corpus.images.vectors))
        prepared = images.prepared or self.prepare(images)
        views = [View(self, name, photos, texts.vectors[name], prepared) for name in self.maps]
        words = Words(self, texts, prepared["shares"])
        n_words = np.array([len(text.split()) for text in texts.texts], dtype=np.float32)

        def fill(out: Vectors, image_rows: Rows, text_rows: Rows) -> None:
            columns = [column for view in views for column in view.columns(image_rows, text_rows)]
            columns += [*words.columns(image_rows, text_rows), prepared["density"][image_rows], n_words[text_rows]]
            np.stack(columns, axis=1, out=out)

        names = [f"{view}.{name}" for name in self.maps for view in View.NAMES]
        return Features([*names, *Words.NAMES, "near.density", "text.n_words"], fill)
