"""The commands on the model in use: `kadr champion`, and `kadr snapshot`."""

from typing import Annotated

import typer
from rich.table import Table

from kadr.cli.console import console, share_cores
from kadr.project import PROJECT

app = typer.Typer(help="List, replace and roll back the models in use.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """List the versions of the champion. An asterisk marks the version in use."""
    from kadr.index import Versions
    from kadr.operations.champion.champion import champion, note_of

    table, now = Table("version", "published", "before it", "snapshot", "MLflow model"), champion()
    for version in Versions(PROJECT.champion).all():
        note = note_of(version)
        model = "/".join(note["mlflow"] or ["not registered"])
        mark = "*" if version == now else ""
        table.add_row(version.name + mark, note["published"], note["previous"] or "", note["snapshot"], model)
    console().print(table)


@app.command()
def rollback(
    version: Annotated[str | None, typer.Argument(help="Version to use. Default: the previous version.")] = None,
) -> None:
    """Use an older version again: for search (models/champion) and in MLflow (alias `champion`)."""
    from kadr.operations.champion.champion import roll_back

    was, now = roll_back(version)
    console().print(f"{PROJECT.champion} is {now} now, and was {was}", highlight=False)


@app.command()
def challenge() -> None:
    """Compare the models of the last pipeline run with the champion, and promote them if they are not worse."""
    from kadr.operations.champion.challenge import challenge as challenge_champion
    from kadr.params import load_params

    share_cores()
    report = challenge_champion(load_params())
    console().print(f"{report['verdict']}: {report['reason']}", highlight=False)


def snapshot(
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="Folder, or fsspec address such as s3://bucket/photos.")
    ],
) -> None:
    """Fetch and validate a new version of the raw dataset, and make it the input of the pipeline."""
    from kadr.operations.champion.snapshot import take
    from kadr.params import load_params

    folder, is_new = take(address, load_params())
    console().print(f"{folder}: {'a new snapshot' if is_new else 'this snapshot is here already'}", highlight=False)
