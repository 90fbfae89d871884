"""The searcher as the pipeline left it on disk: the index, the text encoders and the relevance model."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from kadr.encoders import ImageEncoder, load_image_encoder, load_text_encoder
from kadr.errors import ModelError, SearchError
from kadr.index import Index
from kadr.model import RelevanceModel
from kadr.params import Params
from kadr.search.query_encoding import PhotoVectors
from kadr.search.searcher import Searcher

logger = logging.getLogger(__name__)

_PREPARED_AT_ONCE = 5000  # photos whose part of the model's features is computed at the start, where the index lacks it


def load_searcher(
    index_folder: Path,
    encoders_folder: Path,
    params: Params,
    model_folder: Path,
    *,
    for_texts: bool = True,
    for_many: bool = True,
) -> Searcher:
    """Load what a search needs; without reranking neither the model nor the other text encoders.

    Photo encoders are loaded by the first query with a photo that is not in the index.

    Args:
        index_folder: what stage index or `kadr index` wrote.
        encoders_folder: where stage embed_texts wrote, a folder for each encoder.
        params: the encoders, `index.rerank` and `ingest.near_duplicate_bits`.
        model_folder: where stage train wrote.
        for_texts: whether texts will be asked; for photos alone neither text encoders nor the model are loaded.
        for_many: whether many queries will be asked, so that what the model needs of each photo is computed at once.

    Raises:
        SearchError: the index or the model is missing, or the texts' encoder is not the one that embedded the photos.
        EncoderError: a text encoder cannot be loaded.
    """
    index, texts, rerank = Index.load(index_folder), params.embed_texts, params.index.rerank
    photos, bits = PhotoVectors(_photo_encoders(index, params)), params.ingest.near_duplicate_bits
    if not for_texts:
        return Searcher(index, {}, None, 0, photos, bits)
    names = list(texts.encoders) if rerank else [index.encoder]
    if index.encoder not in texts.encoders:
        raise SearchError(
            f"{index_folder}: its photos are embedded by encoder {index.encoder!r}, but embed_texts.encoders "
            f"(params.yaml) has only {', '.join(texts.encoders)}; restore that encoder, or make the index anew"
        )
    encoders = {
        name: load_text_encoder(texts.encoders[name], texts.precision, encoders_folder / name) for name in names
    }
    check_same_encoder(index, encoders[index.encoder].identity.metadata)
    model = _load_model(model_folder) if rerank else None
    if model:
        index = (
            _prepared(index, model, index_folder) if for_many else index.prepare_when_taken(model.prepare, model.key)
        )
    return Searcher(index, encoders, model, rerank, photos, bits)


def _prepared(index: Index, model: RelevanceModel, folder: Path) -> Index:
    """The index with what the model needs of each photo; where the photos are many, computed by each search."""
    if len(index.photos) <= _PREPARED_AT_ONCE:
        return index.prepare(model.prepare, model.key)
    if index.prepared_for != model.key:
        logger.warning(
            "%s: what this relevance model needs of each photo is not in it, so every search computes it: slow. An "
            "index that `kadr index PHOTOS` makes after `dvc repro` keeps it (models/photos; search it with --index)",
            folder,
        )
    return index.prepare_when_taken(model.prepare, model.key)


def _photo_encoders(index: Index, params: Params) -> dict[str, Callable[[], ImageEncoder]]:
    """Encoder name -> loads it, and refuses one that is not the index's."""
    section = params.embed_images

    def load(name: str) -> ImageEncoder:
        encoder = load_image_encoder(section.encoders[name], section.precision)
        check_same_encoder(index, encoder.identity.metadata, name, "the photo that is asked by")
        return encoder

    return {name: partial(load, name) for name in index.vectors if name in section.encoders}


def check_same_encoder(index: Index, metadata: Mapping[str, str], name: str | None = None, what: str = "texts") -> None:
    """Raise SearchError unless `what` is embedded by the very weights that embedded the index's photos.

    Args:
        index: the photos.
        metadata: the identity of the encoder of `what`.
        name: the encoder's, for photos; by default the one whose space texts share.
        what: is embedded now.
    """
    fields = ["architecture", "weights_sha256"]
    if name is not None:  # photos, as the index's are: they are prepared alike
        fields.append("preprocessing")
    name = name or index.encoder
    photo_metadata = index.vectors[name].metadata
    for field in fields:
        if photo_metadata.get(field) != metadata.get(field):
            raise SearchError(
                f"encoder {name!r} embeds {what} by another {field} ({_short(metadata.get(field))}) than "
                f"the photos of the index ({_short(photo_metadata.get(field))}), so their vectors cannot be compared; "
                "run `dvc repro index` or `kadr index` to embed and index the photos anew"
            )


def _load_model(folder: Path) -> RelevanceModel:
    try:
        return RelevanceModel.load(folder)
    except ModelError as error:
        raise SearchError(f"{error}, or search by cosine alone with `index.rerank: 0` (params.yaml)") from error


def _short(value: str | None) -> str:
    return "unknown" if value is None else value if len(value) <= 16 else f"{value[:12]}..."
