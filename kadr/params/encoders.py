"""The settings of one encoder: which weights, by which library."""

from typing import Annotated, Literal

from pydantic import Field

from kadr.params.base import Count, Section


class OpenClipParams(Section):
    """A CLIP by open_clip: `local-dir:FOLDER`, `hf-hub:NAME`, or an architecture with a `pretrained` tag."""

    backend: Literal["open_clip"]
    model: str
    pretrained: str | None


class TimmParams(Section):
    """An image encoder by timm: `local-dir:FOLDER` or a hub name; its pooled features before the classifier.

    `layers`: blocks of a CNN, e.g. blocks.5 or layer3, whose maps are pooled likewise and stand beside those features.
    `checkpoint`: a file with the weights, or `package:MODULE/FILE` of an installed package; null for the model's own.
    `image_size`: pixels of a side that the model sees, null for its own; a CNN knows more of a larger photo.
    `whole_photo`: the photo squashed to a square, where the model's own preparation may cut off its ends.
    """

    backend: Literal["timm"]
    model: str
    layers: tuple[str, ...] = ()
    checkpoint: str | None = None
    image_size: Count | None = None
    whole_photo: bool = False


class SentenceTransformersParams(Section):
    """A text encoder by sentence-transformers: a folder, a hub name, or `package:MODULE/FOLDER` of an installed one."""

    backend: Literal["sentence_transformers"]
    model: str


class TfidfParams(Section):
    """TF-IDF of word n-grams, reduced to `dim` numbers by a truncated SVD (null: not); fitted on the training texts."""

    backend: Literal["tfidf"]
    words: Literal["as_is", "lemmas", "stems"] = "as_is"
    language: Literal["english", "russian"] = "english"
    stop_words: bool = False
    max_features: Count
    ngram_max: Count
    dim: Count | None


ImageEncoderParams = Annotated[OpenClipParams | TimmParams, Field(discriminator="backend")]
TextEncoderParams = Annotated[OpenClipParams | SentenceTransformersParams | TfidfParams, Field(discriminator="backend")]
