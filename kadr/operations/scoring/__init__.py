"""Score tables of images and texts in batches. Each pair is scored once per model."""

from kadr.operations.scoring.batch_scoring import BatchScorer, score_pairs
from kadr.operations.scoring.pair_store import QUARANTINE, SCORES

__all__ = ["QUARANTINE", "SCORES", "BatchScorer", "score_pairs"]
