"""The orchestration room's batch scoring: the relevance of a table of photos and texts, by the model in use.

`python -m flows.score PAIRS OUT` runs it, on the server of PREFECT_API_URL or else on a temporary one.
"""

import json
from pathlib import Path
from typing import Any

import typer
from prefect import State, flow
from prefect.artifacts import acreate_table_artifact
from prefect.states import Completed, Failed

from flows.stage import StageError, run_command, run_here
from kadr.cli.scoring import Latest, PairsFile, ScoresFolder
from kadr.project import SCORE_SUMMARY


@flow
async def score(pairs: str, out: str, latest: bool = False) -> State[Any]:
    """Predict the relevance of every pair of a table that the model has not scored yet.

    A run that was cancelled or killed goes on where it was: parts are written as they are done.

    Args:
        pairs: a file of Parquet or CSV with columns photo (a path or URI) and text; a path, or an fsspec address.
        out: the folder of scores.
        latest: by the model that the stages wrote last, not by the champion.
    """
    try:
        await run_command("score", [pairs, out, *(["--latest"] if latest else [])])
    except StageError as error:
        return Failed(message=str(error))
    summary = json.loads((Path(out) / SCORE_SUMMARY).read_text(encoding="utf-8"))
    rows = [{"what": what.removeprefix("n_"), "n": n} for what, n in summary.items() if what.startswith("n_")]
    rows += [{"what": f"set aside: {reason}", "n": n} for reason, n in summary["reasons"].items()]
    await acreate_table_artifact(rows, key="score", description=f"What became of the pairs; model {summary['model']}")
    return Completed(message=", ".join(f"{row['n']:,} {row['what']}" for row in rows))


app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def main(pairs: PairsFile, out: ScoresFolder, *, latest: Latest = False) -> None:
    """Predict the relevance of every pair that the model in use has not scored yet."""
    run_here(score(pairs, str(out), latest))


if __name__ == "__main__":
    app()
