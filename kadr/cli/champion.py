"""The commands `kadr champion` and `kadr snapshot`, which manage the models in use and the input data."""

from typing import Annotated

import typer
from rich.table import Table

from kadr.cli.console import console
from kadr.cli.project_commands import ProjectCommand
from kadr.project import PROJECT

app = typer.Typer(help="List, replace or roll back the champion (the models in use).", no_args_is_help=True)


@app.command("list", cls=ProjectCommand)
def list_versions() -> None:
    """List the versions of the champion. An asterisk marks the version in use."""
    from kadr.index import Versions
    from kadr.operations.champion.champion_versions import current_version, read_record

    current = current_version()
    table = Table("version", "published", "previous", "snapshot", "MLflow model")
    for version in Versions(PROJECT.champion).list_versions():
        record = read_record(version)
        model = "/".join(record["mlflow"] or ["not registered"])
        asterisk = "*" if version == current else ""
        table.add_row(version.name + asterisk, record["published"], record["previous"] or "", record["snapshot"], model)
    console().print(table)


@app.command(cls=ProjectCommand)
def rollback(
    version: Annotated[
        str | None, typer.Argument(help="Version to use, e.g. v000001. Default: the previous version.")
    ] = None,
) -> None:
    """Switch models/champion and the MLflow alias `champion` back to an older version."""
    from kadr.operations.champion.champion_versions import roll_back

    previous, current = roll_back(version)
    console().print(f"{PROJECT.champion} now uses {current} instead of {previous}", highlight=False)


@app.command(cls=ProjectCommand)
def challenge() -> None:
    """Promote the models of the last pipeline run unless they are significantly worse than the champion."""
    from kadr.operations.champion.challenge import challenge as challenge_champion
    from kadr.params import load_params

    report = challenge_champion(load_params())
    console().print(f"{report['verdict']}: {report['reason']}", highlight=False)
    if drift := report.get("data_drift"):
        console().print(f"drift from {drift['reference']}: {drift['action']}: {drift['reason']}", highlight=False)


def snapshot(
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="Local folder, or fsspec address such as s3://bucket/photos.")
    ],
) -> None:
    """Fetch and validate a snapshot of the raw dataset, and use it as the pipeline input."""
    from kadr.operations.champion.snapshot import take_snapshot
    from kadr.params import load_params

    params = load_params()
    folder, is_new = take_snapshot(address, params.ingest, params.decoding)
    console().print(f"{folder}: {'new snapshot' if is_new else 'snapshot already exists'}", highlight=False)
