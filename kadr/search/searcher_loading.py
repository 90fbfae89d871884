"""Load a searcher: index, text encoders and relevance model."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from kadr.encoders import ImageEncoder, TextEncoder, fit_text_encoder, load_image_encoder, load_text_encoder
from kadr.encoders.base import PretrainedTextEncoder
from kadr.encoders.precomputed_texts import PrecomputedTextEncoder
from kadr.errors import ModelError, SearchError
from kadr.index import Index
from kadr.model import RelevanceModel
from kadr.params import TEXT_ENCODERS, EncoderParams, Precision, SearchParams
from kadr.project import Artifacts
from kadr.search.encoder_check import can_rerank, check_same_encoder, check_text_encoder, query_image_params
from kadr.search.query_encoding import ImageQueryEncoder
from kadr.search.searcher import Searcher

logger = logging.getLogger(__name__)

_PREPARED_MAX = 5000  # maximum number of images that are prepared when an index is loaded


def load_searcher(
    artifacts: Artifacts, params: SearchParams, *, text_queries: bool = True, many_queries: bool = True
) -> Searcher:
    """Load an index, its text encoders and the relevance model, and return a searcher.

    Image encoders are not loaded until a query contains an image file that is not in the index.

    Args:
        artifacts: paths of the index, the text encoders and the relevance model.
        params: settings from params.yaml.
        text_queries: whether queries can contain texts. If False, the text encoders and the relevance model are not
            loaded.
        many_queries: whether to prepare all images for the relevance model in advance, which makes queries faster.

    Raises:
        SearchError: the index or the relevance model is missing, or the search encoder differs from the index.
        EncoderError: a text encoder cannot be loaded.
    """
    index, texts = Index.load(artifacts.index), params.embed_texts
    rerank = params.index.rerank if can_rerank(index, params, artifacts.relevance) else 0
    bits = params.near_duplicate_bits
    image_encoder = ImageQueryEncoder(_image_encoder_loaders(index, params), params.decoding)
    if not text_queries:
        return Searcher(index, {}, None, 0, image_encoder, bits)
    names = list(texts.encoders) if rerank else [index.encoder]
    if index.encoder not in texts.encoders:
        raise SearchError(
            f"{artifacts.index}: the images were embedded by encoder {index.encoder!r}, but embed_texts.encoders in "
            f"params.yaml has only {', '.join(texts.encoders)}. Add this encoder, or rebuild the index."
        )
    encoders = {
        name: _load_text_encoder(texts.encoders[name], texts.precision, artifacts.text_encoders / name)
        for name in names
    }
    check_text_encoder(index, encoders[index.encoder])
    model = _load_model(artifacts.relevance) if rerank else None
    if model and many_queries:
        index = _prepare_index(index, model, artifacts.index)
    elif model:
        index = index.prepare_on_demand(model.prepare, model.key)
    return Searcher(index, encoders, model, rerank, image_encoder, bits, words=params.index.words)


def _load_text_encoder(params: EncoderParams, precision: Precision, folder: Path) -> TextEncoder:
    """Load a text encoder for queries.

    A pretrained encoder, and text vectors that were computed elsewhere, are also loaded if the pipeline has not run in
    this project.
    """
    backend: type[TextEncoder] = TEXT_ENCODERS.load(params.backend)
    is_saved = folder.parent.exists()
    if issubclass(backend, PretrainedTextEncoder):
        return backend.load_for_queries(params, precision, folder if is_saved else None)
    if not is_saved and issubclass(backend, PrecomputedTextEncoder):
        encoder = fit_text_encoder(params, precision, [], 0)
        return encoder.select([], [])[0] if isinstance(encoder, PrecomputedTextEncoder) else encoder
    return load_text_encoder(params, precision, folder)


def _prepare_index(index: Index, model: RelevanceModel, folder: Path) -> Index:
    """Prepare all images of a small index now. In a large index, each search prepares its own candidates."""
    if len(index.table) <= _PREPARED_MAX:
        return index.prepare(model.prepare, model.key)
    if index.prepared_for != model.key:
        logger.warning(
            "%s: the index does not store the features of this relevance model, so every search is slow. "
            "Run `kadr index FOLDER` after `dvc repro` to build an index that stores them.",
            folder,
        )
    return index.prepare_on_demand(model.prepare, model.key)


def _image_encoder_loaders(index: Index, params: SearchParams) -> dict[str, Callable[[], ImageEncoder]]:
    """Return encoder name -> function. The function loads the encoder and compares it with the encoder of the index."""

    def load(name: str) -> ImageEncoder:
        encoder = load_image_encoder(query_image_params(params, name), params.embed_images.precision, params.decoding)
        check_same_encoder(index, encoder.identity.metadata, name, "the query image")
        return encoder

    return {name: partial(load, name) for name in index.vectors if name in params.embed_images.encoders}


def _load_model(folder: Path) -> RelevanceModel:
    try:
        return RelevanceModel.load(folder)
    except ModelError as error:
        raise SearchError(f"{error} Or set index.rerank: 0 in params.yaml to rank by cosine alone.") from error
