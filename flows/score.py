"""The `score` flow predicts the relevance of the image-text pairs in a table.

Run the flow with `python -m flows.score PAIRS OUT`. The flow starts a temporary Prefect server if $PREFECT_API_URL is
not set.
"""

import json
from pathlib import Path
from typing import Any

import typer
from prefect import State, flow
from prefect.artifacts import acreate_table_artifact
from prefect.states import Completed, Failed

from flows.subprocess_tasks import StageError, run_command, run_flow
from kadr.cli.scoring import Latest, PairsFile, ScoresFolder
from kadr.project import SCORE_SUMMARY


@flow
async def score(pairs: str, out: str, latest: bool = False) -> State[Any]:
    """Predict the relevance of the image-text pairs in a table. Pairs with a score from this model are skipped.

    The scores are written in parts. If a run is cancelled, the next run continues after the last complete part.

    Args:
        pairs: path or fsspec address of a Parquet or CSV file with the columns photo (path or URI) and text.
        out: folder for the scores.
        latest: use the models of the last pipeline run instead of the champion.
    """
    try:
        await run_command("score", [pairs, out, *(["--latest"] if latest else [])])
    except StageError as error:
        return Failed(message=str(error))
    summary = json.loads((Path(out) / SCORE_SUMMARY).read_text(encoding="utf-8"))
    rows = [{"what": name.removeprefix("n_"), "n": n} for name, n in summary.items() if name.startswith("n_")]
    rows += [{"what": f"not scored: {reason}", "n": n} for reason, n in summary["reasons"].items()]
    await acreate_table_artifact(
        rows, key="score", description=f"Number of pairs with each result for model {summary['model']}"
    )
    return Completed(message=", ".join(f"{row['n']:,} {row['what']}" for row in rows))


app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def main(pairs: PairsFile, out: ScoresFolder, *, latest: Latest = False) -> None:
    """Predict the relevance of the image-text pairs in a table. Pairs with a score from this model are skipped."""
    run_flow(score(pairs, str(out), latest))


if __name__ == "__main__":
    app()
