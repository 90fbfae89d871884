"""The program `kadr`: define the commands for data and settings, and register the commands of the other modules.

Commands import large packages inside their functions, so that `kadr --help` is fast.
"""

import json
import logging
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from typer.core import TyperGroup

from kadr.cli import (
    cache,
    champion,
    doctor,
    export,
    import_,
    index,
    mcp,
    scale,
    scoring,
    search,
    serve,
    tracking,
    tuning,
    where,
)
from kadr.cli.console import (
    PrintableFormatter,
    console,
    escape_unencodable,
    hide_decoder_warnings,
    printable,
    share_cores,
)
from kadr.cli.project_commands import ProjectCommand
from kadr.errors import InputError, KadrError, clear_errors
from kadr.project import PROJECT

SAMPLE = PROJECT.raw / "sample"
N_TRAIN, N_TEST, N_CORPUS = 600, 60, 1400  # same values as in kadr.sample, which is slow to import
PANELS = ("Data", "Pipeline", "Search", "Models", "Maintenance")
DATA, PIPELINE, SEARCH, MODELS, MAINTENANCE = PANELS


class KadrGroup(TyperGroup):
    """The commands of `kadr`, sorted by help panel."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the command names in the order of their help panels."""
        panels = {name: getattr(command, "rich_help_panel", DATA) for name, command in self.commands.items()}
        return sorted(panels, key=lambda name: PANELS.index(panels[name]))

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program. Characters that the terminal cannot show are printed as escape sequences."""
        share_cores()
        escape_unencodable()
        hide_decoder_warnings()
        return super().main(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run a command. If the command raises KadrError, print the message and exit with code 1.

        A flow that starts the command sets $KADR_FAILURES to a folder, and reads the message from kadr.json there.
        """
        try:
            with clear_errors():
                return super().invoke(ctx)
        except KadrError as error:
            from kadr.io.stage_failure import FAILURES_VARIABLE, describe_failure, write_failure

            if os.environ.get(FAILURES_VARIABLE):
                write_failure(describe_failure("kadr", error))
            typer.echo(f"kadr: error: {printable(str(error))}", err=True)
            raise typer.Exit(1) from error
        except ModuleNotFoundError as error:
            if error.name is None or error.name.split(".")[0] == "kadr":
                raise
            typer.echo(
                f"kadr: error: this command needs the package {error.name}, which is not installed. Install it with "
                "`pip install 'kadr[pipeline]'`.",
                err=True,
            )
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=KadrGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def start() -> None:
    """Search your photos by text.

    `kadr index FOLDER` makes a folder of photos searchable, `kadr search QUERY` finds photos, and `kadr serve` opens a
    web page. In a project folder, kadr also learns from people's ratings which photos match a text.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter("%(level)s%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("kadr").setLevel(logging.INFO)


@app.command(rich_help_panel=DATA)
def sample(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Output folder.")] = SAMPLE,
    *,
    seed: Annotated[int, typer.Option(min=0, help="Random seed. The same seed produces identical files.")] = 0,
    n_train: Annotated[int, typer.Option(metavar="N", help="Number of rated images.")] = N_TRAIN,
    n_test: Annotated[int, typer.Option(metavar="N", help="Number of test images.")] = N_TEST,
    n_corpus: Annotated[
        int, typer.Option(metavar="N", help="Number of images with captions but no ratings.")
    ] = N_CORPUS,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing sample.")] = False,
) -> None:
    """Generate sample data: rendered images, captions and simulated ratings, with deliberate defects."""
    from kadr.progress import progress
    from kadr.sample import write_sample

    counts = (n_train, n_test, n_corpus)
    if not force and _is_sample(folder, seed, *counts):
        typer.echo(f"{folder}: this sample already exists. Use --force to generate it again.")
        return
    with progress("render images", sum(counts)) as advance:
        written = write_sample(folder, seed, *counts, on_progress=advance)
    typer.echo(
        f"{folder}: {written.n_train} rated, {written.n_test} test and {written.n_corpus} captioned images; "
        f"{written.n_expert} pairs with expert ratings, {written.n_crowd} pairs with only crowd ratings"
    )


@app.command(rich_help_panel=DATA)
def fetch(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="fsspec address, e.g. s3://bucket/photos.")],
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR", help="Output folder. Default: data/raw/NAME, where NAME is the last part of ADDRESS."
        ),
    ] = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing folder.")] = False,
) -> None:
    """Copy a remote folder of images, captions and ratings to this machine.

    Run the command again to resume an interrupted copy.
    """
    from kadr.ingest.fetch import fetch as copy

    folder = folder or PROJECT.raw / address.rstrip("/").rsplit("/", 1)[-1]
    n_files = copy(address, folder, force=force)
    typer.echo(f"{folder}: {n_files:,} files. To use them, set `ingest.source: {folder}` in params.yaml.")


@app.command(rich_help_panel=PIPELINE, cls=ProjectCommand)
def use(
    preset: Annotated[str, typer.Argument(metavar="PRESET", help="Name of a file in presets/, without .yaml.")],
    override: Annotated[
        list[str] | None,
        typer.Option(
            "-S",
            metavar="KEY=VALUE",
            help="Additional setting, e.g. -S train.num_leaves=31. Repeat the option to change several settings.",
        ),
    ] = None,
) -> None:
    """Write the settings of a preset to params.yaml. Other settings and comments are kept."""
    from kadr.io.presets import apply_preset

    changes = apply_preset(preset, override or [], PROJECT.params, PROJECT.presets)
    if not changes:
        typer.echo(f"{PROJECT.params} already contains the settings of the preset {preset}.")
        return
    typer.echo(f"{PROJECT.params}: changed {len(changes)} settings")
    for change in changes:
        typer.echo(f"  {change.key}: {_to_yaml(change.old)} -> {_to_yaml(change.new)}")
    typer.echo("Run `make run` or `dvc repro` to update the results.")


@app.command(rich_help_panel=PIPELINE, cls=ProjectCommand)
def show() -> None:
    """Print the main metrics of the last pipeline run."""
    from kadr.report.run_summary import summarise_run

    if not PROJECT.metrics.is_dir():
        raise InputError(f"{PROJECT.metrics}/: no metrics found. Run `make run` or `dvc repro` first.")
    metrics = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(PROJECT.metrics.glob("*.json"))
    }
    table = Table("metric", "value", "comparison", title="Last pipeline run", title_justify="left")
    table.columns[1].justify = "right"
    for row in summarise_run(metrics):
        table.add_row(row.name, f"[bold]{row.value}[/bold]", row.note)
    console().print(table)


app.command(rich_help_panel=DATA, cls=ProjectCommand)(champion.snapshot)
app.add_typer(import_.app, name="import", rich_help_panel=DATA)
app.command(rich_help_panel=SEARCH)(index.index)
app.command(rich_help_panel=SEARCH, cls=search.QueryCommand)(search.search)
app.command(rich_help_panel=SEARCH)(search.similar)
app.command(rich_help_panel=SEARCH)(search.recommend)
app.command(rich_help_panel=SEARCH)(serve.serve)
app.command(rich_help_panel=SEARCH)(mcp.mcp)
app.command(rich_help_panel=SEARCH)(export.export)
app.command(rich_help_panel=SEARCH)(where.where)
app.add_typer(scale.app, name="scale", rich_help_panel=SEARCH)
app.command(rich_help_panel=MODELS, cls=ProjectCommand)(tracking.compare)
app.command(rich_help_panel=MODELS, cls=ProjectCommand)(tracking.register)
app.command(rich_help_panel=MODELS, cls=ProjectCommand)(tuning.tune)
app.command(rich_help_panel=MODELS, cls=ProjectCommand)(scoring.score)
app.add_typer(champion.app, name="champion", rich_help_panel=MODELS)
app.command(rich_help_panel=MAINTENANCE, cls=ProjectCommand)(doctor.doctor)
app.add_typer(cache.app, name="cache", rich_help_panel=MAINTENANCE)


def _is_sample(folder: Path, seed: int, n_train: int, n_test: int, n_corpus: int) -> bool:
    """Return whether a folder contains the complete sample with the given seed and image counts."""
    n_images = {"train": n_train, "test": n_test, "corpus": n_corpus}
    expected = {"seed": seed} | {f"n_{split}": n for split, n in n_images.items()}
    try:
        description = json.loads((folder / "sample.json").read_text(encoding="utf-8"))
        same = all(description.get(key) == value for key, value in expected.items())
        return same and all(len(list((folder / f"{split}_images").iterdir())) == n for split, n in n_images.items())
    except (OSError, ValueError):
        return False


def _to_yaml(value: object) -> str:
    return "null" if value is None else str(value)
