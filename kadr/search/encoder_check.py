"""Check that an encoder of queries is comparable with the vectors of an index."""

import logging
from collections.abc import Mapping
from pathlib import Path

from kadr.encoders import TextEncoder
from kadr.encoders.precomputed import BACKEND, is_precomputed, normalise_model
from kadr.errors import SearchError
from kadr.index import Index
from kadr.params import IMAGE_ENCODERS, EncoderParams, SearchParams

logger = logging.getLogger(__name__)


def check_same_encoder(
    index: Index, metadata: Mapping[str, str], name: str | None = None, subject: str = "texts"
) -> None:
    """Check that an encoder is the same as the encoder that was used to build an index.

    If the vectors of the index or of the encoder were computed elsewhere, only the names of the models are compared.

    Args:
        index: index to compare with.
        metadata: metadata of the encoder to check: name, architecture, SHA-256 of the weights, and preprocessing.
        name: name of the image encoder to check. None compares a text encoder with the search encoder of the index,
            except for the preprocessing.
        subject: what the encoder embeds, for the error message.

    Raises:
        SearchError: the encoder differs from the encoder of the index.
    """
    fields = ["architecture", "weights_sha256"] if name is None else ["architecture", "weights_sha256", "preprocessing"]
    name = name or index.encoder
    index_metadata = index.vectors[name].metadata
    if is_precomputed(index_metadata) or is_precomputed(metadata):
        fields = ["encoder"]
    for field in fields:
        written, actual = (_comparable(field, values.get(field)) for values in (index_metadata, metadata))
        if written != actual:
            raise SearchError(
                f"Encoder {name!r} embeds {subject} with {field} {_shorten(actual)}, but the index has "
                f"{_shorten(written)}. The vectors are not comparable. Run `dvc repro index` or `kadr index` to embed "
                "the images again."
            )


def check_text_encoder(index: Index, encoder: TextEncoder) -> None:
    """Check that the vectors of a text encoder are comparable with the vectors of the search encoder of an index.

    Raises:
        SearchError: the model or the length of the vectors differs.
    """
    check_same_encoder(index, encoder.identity.metadata)
    dim = index.vectors[index.encoder].dim
    if encoder.dim != dim:
        raise SearchError(
            f"Encoder {index.encoder!r} embeds texts as vectors of length {encoder.dim}, but the vectors of the index "
            f"have the length {dim}. Use the text encoder of the model that computed the image vectors."
        )


def can_rerank(index: Index, params: SearchParams, relevance_model: Path) -> bool:
    """Return whether a relevance model can rerank the images of an index.

    Images that exist only as vectors can lack the vectors of some image encoders that the model needs, and can be
    searched before a model was trained. The images are then ranked by cosine.
    """
    if "vectors" not in index.details:
        return True
    if not relevance_model.exists():
        return False
    missing = [name for name in params.embed_images.encoders if name not in index.vectors]
    if not missing:
        return True
    logger.warning(
        "The index has no vectors of the encoder %s, which the relevance model needs. The images are ranked by cosine.",
        missing[0],
    )
    return False


def query_image_params(params: SearchParams, name: str) -> EncoderParams:
    """Return the settings of the encoder that embeds query images for the image vectors of the encoder `name`.

    If the image vectors were computed elsewhere, the text encoder of the same name also embeds query images.

    Raises:
        SearchError: the image vectors were computed elsewhere, and no encoder of the same name embeds images.
    """
    image, text = params.embed_images.encoders[name], params.embed_texts.encoders.get(name)
    if image.backend != BACKEND:
        return image
    if text is None or text.backend == BACKEND or text.backend not in IMAGE_ENCODERS.names:
        raise SearchError(
            f"The image vectors of the encoder {name!r} were computed elsewhere, so kadr cannot embed a query image "
            f"that is not in the index. Use an image in the index, or set embed_texts.encoders.{name} to the CLIP "
            "model that computed the vectors."
        )
    return text


def _comparable(field: str, value: str | None) -> str | None:
    return normalise_model(value) if field == "encoder" and value else value


def _shorten(value: str | None) -> str:
    return "unknown" if value is None else value if len(value) <= 16 else f"{value[:12]}..."
