"""The command `kadr score`."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from kadr.cli.console import console
from kadr.project import PROJECT, SCORE_SUMMARY

logger = logging.getLogger(__name__)

PairsFile = Annotated[
    str, typer.Argument(help="Path or fsspec address of a Parquet or CSV file with the columns photo and text.")
]
ScoresFolder = Annotated[
    Path, typer.Argument(help="Folder for the scores. Pairs that already have a score from this model are skipped.")
]
Latest = Annotated[
    bool, typer.Option("--latest", help="Use the models of the last pipeline run instead of the champion.")
]


def score(pairs: PairsFile, out: ScoresFolder, *, latest: Latest = False) -> None:
    """Predict the relevance of the image-text pairs in a table. Pairs with a score from the same model are skipped."""
    from kadr.io.text_files import write_json
    from kadr.operations.scoring.batch_scoring import QUARANTINE_FILE, score_pairs
    from kadr.operations.scoring.scorer_loading import load_batch_scorer

    champion = None if latest else PROJECT.champion_artifacts()
    artifacts = champion or PROJECT.artifacts()
    logger.info("Scoring pairs with the %s: %s", "champion" if champion else "latest model", artifacts.relevance)
    summary = score_pairs(pairs, out, load_batch_scorer(artifacts))
    write_json(out / SCORE_SUMMARY, summary)
    for reason, n in summary["reasons"].items():
        logger.warning("Rows without a score: %d (%s). See %s", n, reason, out / QUARANTINE_FILE)
    template = "{n_scored:,} pairs scored, {n_known:,} already scored, {n_set_aside:,} rows not scored; model {model}"
    console().print(template.format_map(summary), highlight=False)
