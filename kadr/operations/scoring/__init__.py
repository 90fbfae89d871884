"""The batch scoring part: a table of photos and texts becomes a folder of relevances, each pair once for each model."""

from kadr.operations.scoring.batch import BatchScorer, score_pairs
from kadr.operations.scoring.pair_store import QUARANTINE, SCORES

__all__ = ["QUARANTINE", "SCORES", "BatchScorer", "score_pairs"]
