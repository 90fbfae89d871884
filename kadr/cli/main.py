"""The command line of kadr: with cli_*.py the only place that prints. Heavy imports wait inside their command."""

import json
import logging
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from typer.core import TyperGroup

from kadr.cli import cache, champion, doctor, index, scoring, search, serve, tracking, tuning
from kadr.cli.console import console
from kadr.errors import InputError, KadrError, said_clearly
from kadr.project import PROJECT

SAMPLE = PROJECT.raw / "sample"


class Commands(TyperGroup):
    """Commands that end with the message alone, and exit code 1, where the user can mend what failed."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            with said_clearly():
                return super().invoke(ctx)
        except KadrError as error:
            typer.echo(f"kadr: {error}", err=True)
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=Commands,
    help="Find photos by words, with a model of relevance learned from people's ratings.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(cache.app, name="cache")
app.add_typer(index.app)
app.add_typer(search.app)
app.command()(serve.serve)
app.add_typer(tracking.app)
app.add_typer(champion.app, name="champion")
app.command()(champion.snapshot)
app.command()(tuning.tune)
app.command()(scoring.score)
app.command()(doctor.doctor)


@app.callback()
def start() -> None:
    """Find photos by words, with a model of relevance learned from people's ratings."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("kadr").setLevel(logging.INFO)


@app.command()
def sample(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to draw it.")] = SAMPLE,
    *,
    seed: Annotated[int, typer.Option(min=0, help="Of every lot; the same seed draws the same bytes.")] = 0,
    n_train: Annotated[int | None, typer.Option(help="Rated photos.")] = None,
    n_test: Annotated[int | None, typer.Option(help="Photos to search among.")] = None,
    n_corpus: Annotated[int | None, typer.Option(help="Captioned, unrated photos.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Draw it even if it is there.")] = False,
) -> None:
    """Draw the sample data: composed photos, captions and ratings, with planted defects."""
    from kadr.progress import progress
    from kadr.sample import N_CORPUS, N_TEST, N_TRAIN, write_sample

    counts = (
        N_TRAIN if n_train is None else n_train,
        N_TEST if n_test is None else n_test,
        N_CORPUS if n_corpus is None else n_corpus,
    )
    if not force and _is_sample(folder, seed, *counts):
        typer.echo(f"{folder}: this sample is there already (--force draws it anew)")
        return
    with progress("sample photos", sum(counts)) as advance:
        written = write_sample(folder, seed, *counts, on_progress=advance)
    typer.echo(
        f"{folder}: {written.n_train} rated, {written.n_test} test and {written.n_corpus} captioned photos; "
        f"{written.n_expert} pairs rated by experts, {written.n_crowd} by the crowd alone"
    )


@app.command()
def fetch(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Of fsspec, e.g. s3://bucket/photos.")],
    folder: Annotated[Path | None, typer.Argument(metavar="DIR", help="Where to put it; data/raw/NAME.")] = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace DIR if it is there.")] = False,
) -> None:
    """Copy a remote folder of photos, texts and ratings here; an interrupted copy goes on where it was."""
    from kadr.ingest.fetch import fetch as copy

    folder = folder or PROJECT.raw / address.rstrip("/").rsplit("/", 1)[-1]
    n = copy(address, folder, force=force)
    typer.echo(f"{folder}: {n:,} files; set `ingest.source: {folder}` in params.yaml")


@app.command()
def use(
    preset: Annotated[str, typer.Argument(metavar="PRESET", help="Name of a file in presets/, without .yaml.")],
    override: Annotated[
        list[str] | None,
        typer.Option("-S", metavar="KEY=VALUE", help="One more value, e.g. -S train.num_leaves=31; may be repeated."),
    ] = None,
) -> None:
    """Write the values of a preset into params.yaml; its other values and its comments stay."""
    from kadr.io.presets import use_preset

    changes = use_preset(preset, override or [], PROJECT.params, PROJECT.presets)
    if not changes:
        typer.echo(f"{PROJECT.params} has the values of {preset} already")
        return
    typer.echo(f"{PROJECT.params}: {len(changes)} values changed by {preset}")
    for change in changes:
        typer.echo(f"  {change.key}: {_yaml(change.old)} -> {_yaml(change.new)}")
    typer.echo("Run `make run` or `dvc repro` to bring everything up to date.")


@app.command()
def show() -> None:
    """Print the headline figures of the last run."""
    from kadr.report.metric_rows import headline

    if not PROJECT.metrics.is_dir():
        raise InputError(f"{PROJECT.metrics}/: there are no figures yet; run `make run` or `dvc repro` first")
    stages = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(PROJECT.metrics.glob("*.json"))
    }
    table = Table("figure", "value", "beside it", title="kadr: the last run", title_justify="left")
    table.columns[1].justify = "right"
    for fact in headline(stages):
        table.add_row(fact.name, f"[bold]{fact.value}[/bold]", fact.note)
    console().print(table)


def _is_sample(folder: Path, seed: int, n_train: int, n_test: int, n_corpus: int) -> bool:
    """Whether `folder` holds the whole sample of that seed and size."""
    n_photos = {"train": n_train, "test": n_test, "corpus": n_corpus}
    wanted = {"seed": seed} | {f"n_{part}": n for part, n in n_photos.items()}
    try:
        found = json.loads((folder / "sample.json").read_text(encoding="utf-8"))
        same = all(found.get(key) == value for key, value in wanted.items())
        return same and all(len(list((folder / f"{part}_images").iterdir())) == n for part, n in n_photos.items())
    except (OSError, ValueError):
        return False


def _yaml(value: object) -> str:
    return "null" if value is None else str(value)
