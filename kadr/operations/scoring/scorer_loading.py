"""Load the models for batch scoring."""

from kadr.embed import cache_root
from kadr.index import Index
from kadr.operations.scoring.batch_scoring import BatchScorer
from kadr.operations.scoring.scorer import Scorer
from kadr.operations.tracking.lineage import folder_digest
from kadr.params import load_params
from kadr.project import Artifacts


def load_batch_scorer(artifacts: Artifacts) -> BatchScorer:
    """Load the encoders and the relevance model for batch scoring.

    Args:
        artifacts: file paths of the last pipeline run or of a champion version.

    Raises:
        EncoderError: an encoder cannot be loaded, or an image encoder differs from the encoder used for training.
        ModelError: the relevance model is missing or damaged.
    """
    params = load_params(artifacts.params)
    identities = {name: vectors.metadata for name, vectors in Index.load(artifacts.index).vectors.items()}
    scorer = Scorer.load(
        params.embed_images,
        params.embed_texts,
        artifacts.text_encoders,
        artifacts.relevance,
        identities,
        decoding=params.decoding,
    )
    return BatchScorer(scorer, folder_digest(artifacts.relevance), cache_root(), params.embed.vectors)
