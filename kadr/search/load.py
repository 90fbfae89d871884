"""The searcher as the pipeline left it on disk: the index, the text encoders and the relevance model."""

from collections.abc import Mapping
from pathlib import Path

from kadr.encoders import load_text_encoder
from kadr.errors import ModelError, SearchError
from kadr.index import Index
from kadr.model import RelevanceModel
from kadr.params import EmbedTextsParams
from kadr.search.searcher import Searcher


def load_searcher(
    index_folder: Path, encoders_folder: Path, texts: EmbedTextsParams, model_folder: Path, rerank: int
) -> Searcher:
    """Load what a search needs; without reranking neither the model nor the other text encoders.

    Args:
        index_folder: where stage index wrote.
        encoders_folder: where stage embed_texts wrote, a folder for each encoder.
        texts: the encoders as params.yaml has them.
        model_folder: where stage train wrote.
        rerank: how many candidates the model reorders; 0 for none.

    Raises:
        SearchError: the index or the model is missing, or the texts' encoder is not the one that embedded the photos.
        EncoderError: a text encoder cannot be loaded.
    """
    index = Index.load(index_folder)
    names = list(texts.encoders) if rerank else [index.encoder]
    if index.encoder not in texts.encoders:
        raise SearchError(
            f"{index_folder}: its photos are embedded by encoder {index.encoder!r}, but embed_texts.encoders "
            f"(params.yaml) has only {', '.join(texts.encoders)}; restore that encoder, or run `dvc repro index`"
        )
    encoders = {
        name: load_text_encoder(texts.encoders[name], texts.precision, encoders_folder / name) for name in names
    }
    check_same_encoder(index, encoders[index.encoder].identity.metadata)
    return Searcher(index, encoders, _load_model(model_folder) if rerank else None, rerank)


def check_same_encoder(index: Index, text_metadata: Mapping[str, str]) -> None:
    """Raise SearchError unless texts are embedded by the very weights that embedded the index's photos."""
    photo_metadata = index.vectors[index.encoder].metadata
    for field in ("architecture", "weights_sha256"):
        if photo_metadata.get(field) != text_metadata.get(field):
            raise SearchError(
                f"encoder {index.encoder!r} embeds texts by another {field} ({_short(text_metadata.get(field))}) than "
                f"the photos of the index ({_short(photo_metadata.get(field))}), so their vectors cannot be compared; "
                "run `dvc repro index` to embed and index the photos anew"
            )


def _load_model(folder: Path) -> RelevanceModel:
    try:
        return RelevanceModel.load(folder)
    except ModelError as error:
        raise SearchError(f"{error}, or search by cosine alone with `index.rerank: 0` (params.yaml)") from error


def _short(value: str | None) -> str:
    return "unknown" if value is None else value if len(value) <= 16 else f"{value[:12]}..."
