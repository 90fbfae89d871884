"""Models that predict the caption vector and the caption words of an image. They are fitted to a captioned corpus."""

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from kadr.errors import ModelError
from kadr.features.caption_corpus import CaptionedCorpus
from kadr.features.inputs import Images, Texts
from kadr.features.kernel_ridge import NystromKernelRidge, landmark_rows
from kadr.features.lda import CaptionLda
from kadr.features.vector_math import fit_ridge, group_means, normalise_rows
from kadr.features.vocabulary import Vocabulary
from kadr.io.embeddings import Rows, Vectors, evenly_spaced_rows
from kadr.io.schemas import CAPTIONS, read_table, write_table

CAPTION_TABLE = "captions.parquet"
TENSORS = "tensors.safetensors"
WORDS = "words.json"
N_BACKGROUND = 1000  # number of corpus images in the background sample that z-scores use
LINEAR_PENALTY = 1e-4  # regularisation strength of the linear map
_FITTED = ("lda", "caption_vectors", "linear_map", "kernel_weights", "mean_shares")
_IMAGE_PREFIX, _MEAN_PREFIX = "image/", "mean/"


@dataclass(frozen=True)
class CaptionFeatures:
    """A captioned corpus and the models fitted to it.

    The word share of an image is the fraction of its captions that contain the word. The caption vector of an image is
    the mean of its projected captions.

    Attributes:
        corpus: captioned corpus, without the vectors of the captions.
        lda: projection of text vectors to k dimensions.
        caption_vectors: (n_captions, k) projected captions, unit norm. The array is column-major because this doubles
            the speed of comparing a few texts with all captions.
        linear_map: (d_images, k) linear map from the centred vector of an image to its caption vector.
        kernel_weights: (n_landmarks, k + n_words) weights of the kernel regression. The first k targets are the
            caption vector of the image. The other targets are the word shares of the image minus `mean_shares`.
        vocabulary: the n_words most frequent caption words.
        mean_shares: (n_words,) word shares, averaged over all images.
    """

    corpus: CaptionedCorpus
    lda: CaptionLda
    caption_vectors: Vectors
    linear_map: Vectors
    kernel_weights: Vectors
    vocabulary: Vocabulary
    mean_shares: npt.NDArray[np.float32]

    @classmethod
    def fit(cls, corpus: CaptionedCorpus) -> "CaptionFeatures":
        """Fit all models to the corpus.

        The corpus contains no rated images, so the same fitted models can be used in all cross-validation folds.

        Raises:
            ModelError: the vectors of all text encoders have more dimensions than `CaptionLda` supports.
        """
        lda = CaptionLda.fit(corpus.captions.vectors, corpus.starts)
        caption_vectors = lda.transform(corpus.captions.vectors)
        mean_captions = group_means(caption_vectors, corpus.starts)
        vocabulary = Vocabulary.fit(corpus.captions.texts)
        shares = vocabulary.shares(corpus.captions.texts, corpus.starts)
        mean_shares = shares.mean(axis=0)
        targets = np.concatenate([mean_captions, shares - mean_shares], axis=1)
        kernel_weights = NystromKernelRidge.fit(corpus.image_vectors, targets).weights
        linear_map = fit_ridge(corpus.image_vectors - corpus.mean_image_vector, mean_captions, LINEAR_PENALTY)
        without_vectors = replace(corpus, captions=replace(corpus.captions, vectors={}))
        columns = np.asfortranarray(caption_vectors)
        return cls(without_vectors, lda, columns, linear_map, kernel_weights, vocabulary, mean_shares)

    def save(self, folder: Path) -> None:
        """Write the corpus and the fitted models to a folder. Identical models are saved as identical files."""
        from safetensors.numpy import save

        folder.mkdir(parents=True, exist_ok=True)
        image_ids = pd.Index(self.corpus.images.ids)[self.corpus.image_rows]
        captions = {"caption_id": self.corpus.captions.ids, "image_id": image_ids, "text": self.corpus.captions.texts}
        write_table(pa.table(captions), folder / CAPTION_TABLE, CAPTIONS)
        tensors = {f"{_IMAGE_PREFIX}{name}": vectors for name, vectors in self.corpus.images.vectors.items()}
        tensors |= {f"{_MEAN_PREFIX}{name}": mean for name, mean in self.lda.means.items()}
        fitted = (self.lda.projection, self.caption_vectors, self.linear_map, self.kernel_weights, self.mean_shares)
        tensors |= dict(zip(_FITTED, fitted, strict=True))
        content = save({name: np.ascontiguousarray(values) for name, values in tensors.items()})
        (folder / TENSORS).write_bytes(content)  # save_file would create a file that only its owner can read
        (folder / WORDS).write_text(json.dumps(self.vocabulary.words), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "CaptionFeatures":
        """Load the corpus and the fitted models from a folder that `save` wrote.

        Raises:
            ModelError: a file is missing or damaged, or was written by another version of kadr.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            tensors = dict(sorted(load_file(folder / TENSORS).items()))
            projection, caption_vectors, linear_map, kernel_weights, mean_shares = map(tensors.pop, _FITTED)
            vocabulary = Vocabulary(json.loads((folder / WORDS).read_text(encoding="utf-8")))
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise ModelError(f"{folder}: cannot read the caption features ({error}). Run `dvc repro train`.") from error
        images, means = (
            {key.removeprefix(prefix): values for key, values in tensors.items() if key.startswith(prefix)}
            for prefix in (_IMAGE_PREFIX, _MEAN_PREFIX)
        )
        table = read_table(folder / CAPTION_TABLE, CAPTIONS).to_pandas()
        image_ids, image_rows = np.unique(table["image_id"].to_numpy(dtype=str), return_inverse=True)
        captions = Texts(table["caption_id"].tolist(), table["text"].tolist(), {})
        corpus = CaptionedCorpus(Images(image_ids.tolist(), images), captions, image_rows)
        columns = np.asfortranarray(caption_vectors)
        return cls(corpus, CaptionLda(means, projection), columns, linear_map, kernel_weights, vocabulary, mean_shares)

    @cached_property
    def background_rows(self) -> Rows:
        """Indices of the background images, evenly spaced over the corpus images: (n_background,) int64."""
        return evenly_spaced_rows(len(self.corpus.images.ids), N_BACKGROUND)

    @cached_property
    def background_predictions(self) -> Vectors:
        """Caption vectors that the linear map predicts for the background images: (n_background, k), unit norm."""
        return self.predict_linear(self.corpus.image_vectors[self.background_rows])

    def predict_linear(self, image_vectors: Vectors) -> Vectors:
        """Predict the caption vectors of images with the linear map.

        Args:
            image_vectors: (n_images, d_images) concatenated image vectors of all encoders, unit norm.

        Returns:
            (n_images, k) float32, unit norm.
        """
        centred: Vectors = image_vectors - self.corpus.mean_image_vector
        return normalise_rows(centred @ self.linear_map)

    def predict_kernel(self, image_vectors: Vectors) -> tuple[Vectors, Vectors]:
        """Predict the caption vectors and word shares of images with the kernel regression.

        Args:
            image_vectors: (n_images, d_images) concatenated image vectors of all encoders, unit norm.

        Returns:
            Caption vectors, (n_images, k) float32 with unit norm, and word shares, (n_images, n_words) float32.
        """
        landmarks = self.corpus.image_vectors[landmark_rows(len(self.corpus.image_vectors))]
        predicted = NystromKernelRidge(landmarks, self.kernel_weights).predict(image_vectors)
        captions, shares = np.split(predicted, [self.caption_vectors.shape[1]], axis=1)
        return normalise_rows(captions), shares + self.mean_shares
