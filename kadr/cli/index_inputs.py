"""Read the inputs of an index that a project provides: the encoders, the text vectors and the relevance model."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kadr.project import PROJECT

if TYPE_CHECKING:
    from kadr.io.embeddings import Embeddings
    from kadr.model import RelevanceModel
    from kadr.params import SearchParams


@dataclass(frozen=True)
class IndexInputs:
    """Inputs of an index from the project. Outside of a project, there are no texts and there is no model.

    Attributes:
        encoders: names of the image encoders whose vectors the index contains. The first one is the search encoder.
        texts: text vectors of the search encoder, which measure recall.
        model: relevance model of the index.
    """

    encoders: list[str]
    texts: "Embeddings | None"
    model: "RelevanceModel | None"

    @classmethod
    def read(cls, params: "SearchParams") -> "IndexInputs":
        """Read the text vectors and the relevance model."""
        from kadr.io.embeddings import Embeddings
        from kadr.model import RelevanceModel

        encoders = choose_encoders(params)
        texts = PROJECT.text_embeddings / f"{encoders[0]}.parquet"
        return cls(
            encoders,
            Embeddings.read(texts) if texts.is_file() else None,
            RelevanceModel.load(PROJECT.relevance_model) if _uses_model(params) else None,
        )


def choose_encoders(params: "SearchParams") -> list[str]:
    """Return the image encoders of an index: the search encoder, and all others if a relevance model uses them."""
    search_encoder = params.shared_encoders[0]
    others = [name for name in params.embed_images.encoders if name != search_encoder]
    return [search_encoder, *(others if _uses_model(params) else ())]


def _uses_model(params: "SearchParams") -> bool:
    return params.index.rerank > 0 and PROJECT.relevance_model.is_dir()
