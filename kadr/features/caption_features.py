"""The block `captioned`: how a text compares with the captions of the photos that look like the photo.

Texts and captions are compared in the space of meaning that the captions' own vectors span (kadr.features.lda):

- map: a ridge regression from photos to captions predicts the photo's caption vector; its cosine to the text
  (DeViSE, Frome et al. 2013).
- kernel: the same by kernel ridge regression (kadr.features.kernel_ridge), which trusts what looks alike more.
- near: the text's similarity to the best caption of each of the photo's k nearest captioned photos, averaged
  (nearest-neighbour captioning, Devlin et al. 2015); the best of the 10 nearest; and the mean by softmax of the
  likeness to the photo (attention weights, Vinyals et al. 2016).
- back: the photo's mean similarity to the captioned photos whose captions are nearest to the text.

A similarity says little where a photo or a text is similar to everything (hubness, Radovanovic et al. 2010), so each is
also given as a z-score against a background sample of the corpus.

And in words: the kernel regression predicts the share of the photo's captions that has each word. Over the text's
words, the mean share, the mean and the least of its lift over the corpus (kadr.features.caption_words).
"""

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from kadr.errors import ModelError
from kadr.features.blocks import Features
from kadr.features.caption_neighbours import Corpus, group_means, join_spaces, nearest, ridge_map, unit
from kadr.features.caption_views import NEAREST, Standard, View, Words
from kadr.features.caption_words import Vocabulary
from kadr.features.inputs import Images, Texts
from kadr.features.kernel_ridge import KernelRidge, landmarks
from kadr.features.lda import MeaningSpace
from kadr.io.embeddings import Rows, Vectors, spread
from kadr.io.schemas import CAPTIONS, read_table, write_table

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
        corpus: captioned photos and their captions, these without vectors.
        space: where texts and captions are compared, of k dimensions.
        captions: (n_captions, k) the captions there, unit norm; column by column in memory, which few texts are
            compared with twice as fast.
        map: (d_images, k) from joined, centred photo vectors to the mean of the photo's captions.
        weights: of the kernel regression from joined photo vectors to that mean and, beside it, to the words' shares
            above the usual; (n_landmarks, k + n_words).
        vocabulary: the words.
        usual: (n_words,) mean share of a photo's captions that have each word.
    """

    corpus: Corpus
    space: MeaningSpace
    captions: Vectors
    map: Vectors
    weights: Vectors
    vocabulary: Vocabulary
    usual: npt.NDArray[np.float32]

    @classmethod
    def fit(cls, corpus: Corpus) -> "Captioned":
        """Learn from the corpus. It holds no rated photo, so no fold has to be kept out of it."""
        space = MeaningSpace.fit(corpus.captions.vectors, corpus.starts)
        captions = space.of(corpus.captions.vectors)
        means = group_means(captions, corpus.starts)
        vocabulary = Vocabulary.of(corpus.captions.texts)
        shares = vocabulary.shares(corpus.captions.texts, corpus.starts)
        usual = shares.mean(axis=0)
        weights = KernelRidge.fit(corpus.joined, np.concatenate([means, shares - usual], axis=1)).weights
        linear = ridge_map(corpus.joined - corpus.joined_mean, means, RIDGE)
        bare = replace(corpus, captions=replace(corpus.captions, vectors={}))
        return cls(bare, space, np.asfortranarray(captions), linear, weights, vocabulary, usual)

    def save(self, folder: Path) -> None:
        """Write the corpus and what was learned into `folder`; the same gives the same bytes."""
        from safetensors.numpy import save

        folder.mkdir(parents=True, exist_ok=True)
        ids = pd.Index(self.corpus.images.ids)[self.corpus.photo]
        captions = {"caption_id": self.corpus.captions.ids, "image_id": ids, "text": self.corpus.captions.texts}
        write_table(pa.table(captions), folder / CAPTION_TABLE, CAPTIONS)
        tensors = {f"image/{name}": of for name, of in self.corpus.images.vectors.items()}
        tensors |= {f"mean/{name}": of for name, of in self.space.means.items()}
        tensors |= {"space": self.space.map, "captions": self.captions, "map": self.map}
        tensors |= {"weights": self.weights, "usual": self.usual}
        content = save({name: np.ascontiguousarray(of) for name, of in tensors.items()})
        (folder / VECTORS).write_bytes(content)  # save_file would let only this user read it
        (folder / WORDS).write_text(json.dumps(self.vocabulary.words), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Captioned":
        """Read what `save` wrote. Raises ModelError where it is missing or damaged."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            tensors = dict(sorted(load_file(folder / VECTORS).items()))
            learned = [tensors.pop(name) for name in ("space", "captions", "map", "weights", "usual")]
            vocabulary = Vocabulary(json.loads((folder / WORDS).read_text(encoding="utf-8")))
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise ModelError(f"{folder}: not readable ({error}); run `dvc repro train`") from error
        images, means = (
            {key.removeprefix(part): of for key, of in tensors.items() if key.startswith(part)}
            for part in ("image/", "mean/")
        )
        table = read_table(folder / CAPTION_TABLE, CAPTIONS).to_pandas()
        image_ids, photo = np.unique(table["image_id"].to_numpy(dtype=str), return_inverse=True)
        texts = Texts(table["caption_id"].tolist(), table["text"].tolist(), {})
        corpus = Corpus(Images(image_ids.tolist(), images), texts, photo)
        space, captions, linear, weights, usual = learned
        return cls(corpus, MeaningSpace(means, space), np.asfortranarray(captions), linear, weights, vocabulary, usual)

    @cached_property
    def background(self) -> Rows:
        """Rows of the photos that stand for all, evenly spread over the corpus."""
        return spread(len(self.corpus.images.ids), N_BACKGROUND)

    def mapped(self, joined: Vectors) -> Vectors:
        """The captions that the map predicts for joined photo vectors: (n, k), unit norm."""
        centred: Vectors = joined - self.corpus.joined_mean
        return unit(centred @ self.map)

    def kernel(self, joined: Vectors) -> tuple[Vectors, Vectors]:
        """The captions (n, k), unit norm, and the words' shares (n, n_words) that the kernel regression predicts."""
        known = self.corpus.joined[landmarks(len(self.corpus.joined))]
        captions, words = np.split(KernelRidge(known, self.weights).predict(joined), [self.captions.shape[1]], axis=1)
        return unit(captions), words + self.usual

    def prepare(self, images: Images) -> dict[str, npt.NDArray[Any]]:
        """What the block needs of the photos alone, each (n_images, ...): kept, it makes a later `features` quick.

        Raises:
            ModelError: the photos' vectors are not by the encoders of the corpus.
        """
        photos = join_spaces(images.vectors, list(self.corpus.images.vectors))
        if photos.shape[1] != self.corpus.joined.shape[1]:
            raise ModelError(
                f"the photos' vectors have {photos.shape[1]} numbers, those that this model learned from "
                f"{self.corpus.joined.shape[1]}: it is of other encoders; run `dvc repro train`, or set index.rerank: 0"
            )
        near, similarity = nearest(photos, self.corpus.joined, NEAREST[-1])
        likeness = np.exp((similarity - similarity[:, :1]) / np.float32(TEMPERATURE))
        mapped = self.mapped(photos)
        captions, shares = self.kernel(photos)
        first = self.corpus.starts[self.background]
        return {
            "near": near.astype(np.int32),
            "density": similarity.mean(axis=1),
            "likeness": likeness / likeness.sum(axis=1, keepdims=True),
            "back": Standard.of(photos @ self.corpus.joined[self.background].T).parts,
            "map": mapped,
            "map_z": Standard.of(mapped @ self.captions[first].T).parts,
            "kernel": captions,
            "shares": shares.astype(np.float16),
        }

    @cached_property
    def background_mapped(self) -> Vectors:
        """(n_background, k) what the map predicts for the background."""
        return self.mapped(self.corpus.joined[self.background])

    def features(self, images: Images, texts: Texts) -> Features:
        """The block for these photos and texts."""
        photos = join_spaces(images.vectors, list(self.corpus.images.vectors))
        prepared = images.prepared or self.prepare(images)
        view = View(self, photos, self.space.of(texts.vectors), prepared)
        words = Words(self, texts, prepared["shares"])
        n_words = np.array([len(text.split()) for text in texts.texts], dtype=np.float32)

        def fill(out: Vectors, image_rows: Rows, text_rows: Rows) -> None:
            columns = [*view.columns(image_rows, text_rows), *words.columns(image_rows, text_rows)]
            np.stack([*columns, prepared["density"][image_rows], n_words[text_rows]], axis=1, out=out)

        return Features([*View.NAMES, *Words.NAMES, "near.density", "text.n_words"], fill)
