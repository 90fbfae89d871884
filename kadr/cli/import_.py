"""Commands that import data: `kadr import captions` and `kadr import dataset`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from kadr.project import PROJECT

app = typer.Typer(help="Import captions and datasets into folders that the pipeline reads.", no_args_is_help=True)

MINE = PROJECT.raw / "mine"


@app.command()
def captions(
    table: Annotated[
        Path, typer.Argument(metavar="CAPTIONS", help="Table of images and captions, or another captions file.")
    ],
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the images. Default: the folder of CAPTIONS.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Output folder.")] = MINE,
) -> None:
    """Prepare your own captioned images for training.

    Each caption is rated 4 for its own image, and 1 for up to three other images. About one image in five becomes a
    test image. Run the command again after you change the captions. Ratings in ratings_long.csv are kept.
    """
    from kadr.ingest.captions.caption_import import SET_ASIDE_FILE, import_captions

    summary = import_captions(table, images or table.parent, out)
    n_images, n_captions = summary.n_images, summary.n_captions
    typer.echo(
        f"{out}: {n_images['train']:,} training images with {n_captions['train']:,} captions and {summary.n_pairs:,} "
        f"derived ratings, {n_images['test']:,} test images with {n_captions['test']:,} queries"
    )
    if summary.removed or summary.kept:
        typer.echo(
            f"  images without captions: {summary.removed:,} removed from {out}, {summary.kept:,} kept because "
            "they have ratings"
        )
    if summary.n_ratings:
        typer.echo(f"  kept {summary.n_ratings:,} ratings that people gave")
    _echo_set_aside(summary.set_aside, out / SET_ASIDE_FILE)
    source = "" if out == MINE else f" -S ingest.source={out}"
    typer.echo(
        f"Train on the captions: kadr use captions -S index.rerank=100 -S evaluate.gates.above=null{source}; dvc repro"
    )


@app.command()
def dataset(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="WebDataset shards, Parquet files with images, a folder saved by `datasets`, or a folder of images.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Output folder. Default: data/raw/NAME, where NAME is that of SOURCE."),
    ] = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace the result of an earlier import.")] = False,
) -> None:
    """Extract the images and captions of a dataset into a plain folder.

    Run the command again to resume an interrupted import.
    """
    from kadr.ingest.containers.dataset_import import SET_ASIDE_FILE, import_dataset
    from kadr.params import DecodingParams, load_params

    limits = load_params(PROJECT.params).decoding if PROJECT.params.is_file() else DecodingParams()
    out = out or PROJECT.raw / source.resolve().name.split(".")[0]
    summary = import_dataset(source, out, limits, force=force)
    table = f"{summary.n_captions:,} rows in {summary.table}" if summary.table else "no captions"
    typer.echo(f"{out}: {summary.n_images:,} images in {summary.images}, {table}")
    if summary.table and summary.n_without_captions:
        kind = "ratings" if summary.table.name.startswith("ratings_long") else "captions"
        typer.echo(f"  images without {kind}: {summary.n_without_captions:,}")
    if summary.resumed:
        typer.echo(f"  resumed after {summary.resumed:,} parts of the dataset")
    _echo_set_aside(summary.set_aside, out / SET_ASIDE_FILE)
    if summary.table is None:
        typer.echo(f"Search the images: kadr index {summary.images}")
    elif summary.table.name.startswith("ratings_long"):
        typer.echo(f"Train on the ratings: set `ingest.source: {out}` in params.yaml")
    else:
        typer.echo(f"Train on the captions: kadr import captions {summary.table} --images {summary.images}")


def _echo_set_aside(counts: Mapping[str, int], path: Path) -> None:
    """Print the number of items that were not imported, by reason."""
    if counts:
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in counts.items())
        typer.echo(f"  not imported: {reasons} (listed in {path})")
