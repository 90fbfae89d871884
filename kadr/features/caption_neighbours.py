"""The block `caption_neighbours`: a text compared with the captions of images that look like the given image.

Texts and captions are projected by linear discriminant analysis (`kadr.features.lda`). The features are:

- `linear`: cosine of the text and the caption that a ridge regression predicts from the image (DeViSE, Frome et al.
  2013).
- `kernel`: cosine of the text and the caption that a kernel ridge regression predicts from the image
  (`kadr.features.kernel_ridge`).
- `neighbours.mean<k>`: similarity of the text to the best caption of each of the k nearest captioned images, averaged
  (Devlin et al. 2015). `neighbours.best` is the maximum over the 10 nearest images. `neighbours.attention` is the mean
  weighted by the softmax of image similarity (Vinyals et al. 2016).
- `neighbours.density`: mean similarity of the image to its nearest captioned images.
- `reverse`: mean similarity of the image to the captioned images whose captions are nearest to the text.
- `words.share`, `words.lift`, `words.min_lift`: predicted share of the image's captions that contain a word of the
  text, and its lift over the corpus (`kadr.features.vocabulary`), averaged or minimised over the words of the text.

Some images and texts are similar to everything (hubness, Radovanovic et al. 2010). Features with `z` standardise a
similarity by its mean and deviation over a background sample of the corpus.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from kadr.errors import ModelError
from kadr.features.blocks import Features
from kadr.features.caption_features import CaptionFeatures
from kadr.features.caption_similarity import N_NEIGHBOURS, Background, CaptionSimilarity
from kadr.features.inputs import Images, Texts
from kadr.features.vector_math import concatenate_encoders, nearest_rows
from kadr.features.word_lift import WordLift
from kadr.io.embeddings import Rows, Vectors

CAPTION_NEIGHBOURS = "caption_neighbours"
TEMPERATURE = 0.05  # softmax temperature of neighbours.attention


def prepare_images(fitted: CaptionFeatures, images: Images) -> dict[str, npt.NDArray[Any]]:
    """Compute the values of the block that depend on the images alone.

    Stored in `Images.prepared`, the values make later calls of `caption_neighbours` fast.

    Returns:
        Name -> (n_images, ...) array.

    Raises:
        ModelError: the image vectors come from other encoders than those of the corpus.
    """
    corpus = fitted.corpus
    vectors = concatenate_encoders(images.vectors, list(corpus.images.vectors))
    if vectors.shape[1] != corpus.image_vectors.shape[1]:
        raise ModelError(
            f"The image vectors have {vectors.shape[1]} dimensions, but the relevance model was trained on "
            f"{corpus.image_vectors.shape[1]}: the encoders differ. Run `dvc repro train`, or set index.rerank to 0."
        )
    neighbours, similarity = nearest_rows(vectors, corpus.image_vectors, N_NEIGHBOURS[-1])
    attention = np.exp((similarity - similarity[:, :1]) / np.float32(TEMPERATURE))
    linear = fitted.predict_linear(vectors)
    kernel, shares = fitted.predict_kernel(vectors)
    background_captions = fitted.caption_vectors[corpus.starts[fitted.background_rows]]
    return {
        "neighbours": neighbours.astype(np.int32),
        "density": similarity.mean(axis=1),
        "attention": attention / attention.sum(axis=1, keepdims=True),
        "reverse_background": Background.measure(vectors @ corpus.image_vectors[fitted.background_rows].T).moments,
        "linear": linear,
        "linear_background": Background.measure(linear @ background_captions.T).moments,
        "kernel": kernel,
        "shares": shares.astype(np.float16),
    }


def caption_neighbours(fitted: CaptionFeatures, images: Images, texts: Texts) -> Features:
    """Return the features of the block for the given images and texts.

    Raises:
        ModelError: the image vectors come from other encoders than those of the corpus.
    """
    image_vectors = concatenate_encoders(images.vectors, list(fitted.corpus.images.vectors))
    prepared = images.prepared or prepare_images(fitted, images)
    similarity = CaptionSimilarity(fitted, image_vectors, fitted.lda.transform(texts.vectors), prepared)
    words = WordLift(fitted, texts, prepared["shares"])
    text_lengths = np.array([len(text.split()) for text in texts.texts], dtype=np.float32)

    def fill(out: Vectors, image_rows: Rows, text_rows: Rows) -> None:
        columns = [*similarity.columns(image_rows, text_rows), *words.columns(image_rows, text_rows)]
        np.stack([*columns, prepared["density"][image_rows], text_lengths[text_rows]], axis=1, out=out)

    return Features([*CaptionSimilarity.NAMES, *WordLift.NAMES, "neighbours.density", "text.n_words"], fill)
