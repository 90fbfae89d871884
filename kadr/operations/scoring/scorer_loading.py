"""Load what batch scoring needs."""

from kadr.embed import cache_root
from kadr.index import Index
from kadr.operations.scoring import BatchScorer
from kadr.operations.scoring.scorer import Scorer
from kadr.operations.tracking.lineage import folder_digest
from kadr.params import load_params
from kadr.project import Artifacts


def load(artifacts: Artifacts) -> BatchScorer:
    """Load the encoders and the relevance model of a project or of its champion."""
    params = load_params(artifacts.params)
    identities = {name: vectors.metadata for name, vectors in Index.load(artifacts.index).vectors.items()}
    scorer = Scorer.load(
        params.embed_images, params.embed_texts, artifacts.text_encoders, artifacts.relevance, identities
    )
    return BatchScorer(scorer, folder_digest(artifacts.relevance), cache_root(), params.embed.vectors)
