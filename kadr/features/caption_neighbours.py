"""The block `caption_neighbours`, which compares a text with the captions of images that are similar to a given image.

Linear discriminant analysis (`kadr.features.lda`) projects texts and captions before they are compared. The neighbours
of an image are the captioned images with the most similar image vectors. The features are:

- `linear`: cosine similarity of the text and the caption vector that ridge regression predicts from the image (DeViSE,
  Frome et al. 2013).
- `kernel`: cosine similarity of the text and the caption vector that kernel ridge regression predicts from the image
  (`kadr.features.kernel_ridge`).
- `neighbours.mean<k>`: mean similarity of the text to the k nearest neighbours (Devlin et al. 2015). The similarity of
  a text to a neighbour is the cosine similarity of the text and the most similar caption of the neighbour.
- `neighbours.best`: maximum similarity of the text to the 10 nearest neighbours.
- `neighbours.attention`: similarity of the text to the neighbours, weighted by the softmax of the image similarity
  (Vinyals et al. 2016).
- `neighbours.background`: mean similarity of the text to a background sample of captioned images.
- `neighbours.density`: mean similarity of the image to its neighbours.
- `reverse`: mean similarity of the image to the captioned images whose captions are most similar to the text.
- `words.share`: predicted share of the image's captions that contain a word, averaged over the words of the text.
- `words.lift`, `words.min_lift`: mean and minimum lift of the words of the text (`kadr.features.vocabulary`).
- `words.n`: number of distinct vocabulary words in the text.
- `text.n_words`: number of words in the text.

Some images and texts are similar to nearly all texts and images (hubness, Radovanovic et al. 2010). To correct for
this, features with `z` in their name are z-scores: the similarity is standardised by its mean and standard deviation
over a background sample of the corpus.
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
    """Compute the arrays of the block `caption_neighbours` that depend only on the images.

    `caption_neighbours` uses these arrays if they are stored in `Images.prepared`, and computes them otherwise.

    Args:
        fitted: models of the captioned corpus.
        images: images to compute the arrays for.

    Returns:
        Arrays of shape (n_images, ...), by array name.

    Raises:
        ModelError: the image vectors come from different encoders than the corpus vectors.
    """
    corpus = fitted.corpus
    vectors = concatenate_encoders(images.vectors, list(corpus.images.vectors))
    if vectors.shape[1] != corpus.image_vectors.shape[1]:
        raise ModelError(
            f"The image vectors have {vectors.shape[1]} dimensions, but the relevance model was trained on "
            f"vectors with {corpus.image_vectors.shape[1]} dimensions. Run `dvc repro train` to train the model with "
            "the current encoders, or set index.rerank to 0 to search without the model."
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
    """Return the features of the block `caption_neighbours`.

    Args:
        fitted: models of the captioned corpus.
        images: images of the pairs.
        texts: texts of the pairs.

    Raises:
        ModelError: the image vectors come from different encoders than the corpus vectors.
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
