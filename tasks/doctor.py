"""What is stale, missing or misconfigured, and the command that mends it: `kadr doctor`, `python -m tasks.doctor`.

It is here and not in kadr/, because the library room never imports DVC and MLflow.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from kadr import doctor
from kadr.doctor import Finding
from kadr.embed.cache import cache_root
from tasks import paths
from tasks.commands import command
from tasks.doctor_tools import check_dvc, check_mlflow, check_prefect

PARAMS, LOCK = Path("params.yaml"), Path("requirements.lock")
WRITTEN = (Path(), Path("data"), Path("models"), Path("reports"), paths.METRICS, Path(".dvc/tmp"))
INDEXES = {paths.INDEX: "dvc repro index", Path("models/photos"): "kadr index PHOTOS"}
STYLES = {"ok": "green", "note": "yellow", "wrong": "bold red"}


def findings() -> Iterator[Finding]:
    """What each check sees; those that need valid params are left out where these are not."""
    yield from doctor.check_python()
    yield from doctor.check_packages(LOCK)
    params, found = doctor.check_params(PARAMS)
    yield from found
    root = cache_root()
    folders = [*WRITTEN, *([] if "://" in root else [Path(root)])]
    yield from doctor.check_folders(folders)
    yield from doctor.check_disks(folders)
    yield from doctor.check_cache(root)
    if params:
        yield from doctor.check_source(params)
        yield from doctor.check_encoders(params, paths.CLIP)
        yield from check_dvc()
        yield from doctor.check_indexes(
            params, paths.IMAGE_EMBEDDINGS, {p: c for p, c in INDEXES.items() if p.exists()}
        )
        yield from doctor.check_cores(params)
    yield from doctor.check_precision()
    yield from check_mlflow()
    yield from check_prefect()


app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def main(*, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Say what is stale, missing or misconfigured, and the command that mends it; exit code 1 where there is any."""
    with command("doctor") as console:
        seen = []
        for finding in findings():
            seen.append(finding)
            if not as_json:
                style = STYLES[finding.state]
                line = f"[{style}]{finding.state:5}[/{style}] {escape(finding.about)}: {escape(finding.said)}"
                console.print(line, highlight=False, soft_wrap=True)
                if finding.mend:
                    console.print(f"      -> {escape(finding.mend)}", style="cyan", highlight=False, soft_wrap=True)
        if as_json:
            typer.echo(json.dumps([asdict(finding) for finding in seen], indent=2, ensure_ascii=False))
    if any(finding.state == "wrong" for finding in seen):
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
