"""Score pairs of photo and text in bulk: `python -m tasks.score PAIRS OUT`; `flows/score` runs it by a server.

It is no stage of DVC's: its input comes whenever it comes, and what a model has scored already is kept.
"""

import logging

import typer

from kadr.artifacts import Artifacts
from kadr.embed import cache_root
from kadr.index import Index
from kadr.params import load_params
from kadr.scorer import Scorer
from kadr.scoring import BatchScorer, score_pairs
from tasks.commands import Latest, PairsFile, ScoresFolder, command
from tasks.lineage import folder_digest
from tasks.paths import SCORE_SUMMARY
from tasks.stage import write_json

logger = logging.getLogger(__name__)

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


def load(found: Artifacts) -> BatchScorer:
    """The encoders and the model of `found`; its index says which encoders the model was trained with."""
    params = load_params(found.params)
    identities = {name: vectors.metadata for name, vectors in Index.load(found.index).vectors.items()}
    scorer = Scorer.load(params.embed_images, params.embed_texts, found.text_encoders, found.relevance, identities)
    return BatchScorer(scorer, folder_digest(found.relevance), cache_root(), params.embed.vectors)


@app.command()
def main(pairs: PairsFile, out: ScoresFolder, *, latest: Latest = False) -> None:
    """Predict the relevance of every pair that this model has not scored yet."""
    with command("score") as console:
        champion = None if latest else Artifacts.of_champion()
        found = champion or Artifacts.of_project()
        logger.info("by the %s: %s", "champion" if champion else "model of the stages", found.relevance)
        summary = score_pairs(pairs, out, load(found))
        write_json(out / SCORE_SUMMARY, summary)
        for reason, n in summary["reasons"].items():
            logger.warning("%d rows are set aside: %s (%s)", n, reason, out / "_quarantine.parquet")
        said = "{n_scored:,} pairs scored, {n_known:,} had a score, {n_set_aside:,} rows set aside; model {model}"
        console.print(said.format_map(summary), highlight=False)


if __name__ == "__main__":
    app()
