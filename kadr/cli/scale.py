"""Commands for collections that several machines embed: `kadr scale plan`, `embed`, `status` and `index`."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kadr.cli.console import printable
from kadr.cli.index import fetch_model
from kadr.cli.index_inputs import IndexInputs, choose_encoders
from kadr.cli.settings import load_settings
from kadr.errors import InputError
from kadr.project import PROJECT

if TYPE_CHECKING:
    from kadr.collection.part_plan import PartPlan
    from kadr.params import SearchParams

app = typer.Typer(
    help="Index a large collection: divide it into parts, embed the parts on several machines, and build one index.",
    no_args_is_help=True,
)

PlanFolder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of the plan, on a disk of all machines.")]

_MAX_NAMES = 10  # maximum number of parts that a message names


@app.command()
def plan(
    photos: Annotated[
        list[str], typer.Argument(metavar="ADDRESS...", help="Photos: folders, files or fsspec addresses.")
    ],
    *,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder of the plan, on a disk of all machines.")],
    parts: Annotated[int, typer.Option(metavar="N", min=1, max=65_536, help="Number of parts.")] = 256,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Do not index files and folders that match this pattern of a .gitignore file. Repeat the option for "
            "several patterns.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="CLIP model, as for `kadr index`. Default: small. In a project: params.yaml."
        ),
    ] = None,
) -> None:
    """List the photos of a collection, and divide the list into parts.

    Run the command again after photos have changed. Only the parts with other files are then embedded again, and only
    their new and changed photos are computed.
    """
    from kadr.collection.part_plan import plan_parts

    load_settings(out, model)  # checks the model
    made = plan_parts(photos, out, parts, exclude=exclude or (), model=model)
    typer.echo(f"{out}: {sum(made.images.values()):,} photos in {len(made.images):,} parts")
    typer.echo(f"Embed the photos: kadr scale embed {out} --all")


@app.command()
def embed(
    folder: PlanFolder,
    parts: Annotated[
        list[str] | None,
        typer.Argument(metavar="PART...", help="Names of parts. Photos of these parts that failed are tried again."),
    ] = None,
    *,
    all_: Annotated[
        bool, typer.Option("--all", help="Embed all parts that are missing and that no other process is embedding.")
    ] = False,
    share: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Embed the missing parts of machine I of N machines, e.g. 1/4 to 4/4."),
    ] = None,
) -> None:
    """Scan and embed the photos of parts.

    Run the command again to resume an interrupted run. You can run the command on several machines at the same time.
    """
    from kadr.collection.part_embedding import PartEmbedder
    from kadr.collection.part_plan import PartPlan
    from kadr.collection.vectors import ScanEmbedder

    if bool(parts) + all_ + (share is not None) != 1:
        raise InputError("Name the parts to embed, or use either --all or --share I/N.")
    made = PartPlan.load(folder)
    made.check_parts(parts or ())
    chosen = made.share(*_parse_share(share)) if share is not None else list(made.images)
    params = _load_params(made)
    if not PROJECT.exists:
        fetch_model(params)
    encoder = ScanEmbedder(choose_encoders(params), params.embed_images, params.embed, params.decoding)
    embedder = PartEmbedder(made, encoder, params.decoding, params.index.ocr)
    busy: Sequence[str] = []
    if parts:
        embedder.embed_again(parts)
    else:
        busy = embedder.embed_missing(chosen)
    if busy:
        typer.echo(f"{folder}: left to other processes: {_list_names(busy)}")
    _print_status(made, params)


@app.command()
def status(folder: PlanFolder) -> None:
    """Show which parts are embedded, and how many photos cannot be used."""
    from kadr.collection.part_plan import PartPlan

    made = PartPlan.load(folder)
    _print_status(made, _load_params(made))


@app.command()
def index(
    folder: PlanFolder,
    *,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Path of the index: a symbolic link to its current version.",
            default_factory=lambda: PROJECT.photo_index,
            show_default="models/photos in a project, otherwise your own index",
        ),
    ],
    allow_removals: Annotated[
        bool, typer.Option("--allow-removals", help="Replace an index of photos at other addresses.")
    ] = False,
) -> None:
    """Build one index of all parts, as `kadr index` would build it from the photos."""
    from kadr.collection.part_index import index_parts
    from kadr.collection.part_plan import PartPlan

    made = PartPlan.load(folder)
    params = _load_params(made)
    inputs = IndexInputs.read(params)
    built = index_parts(
        made,
        out,
        inputs.encoders,
        exact_max=params.index.exact_max,
        memory_gb=params.index.memory_gb,
        allow_removals=allow_removals,
        texts=inputs.texts,
        model=inputs.model,
        store=params.index.store.for_index(out),
    )
    description = built.describe()
    typer.echo(f"{out}: {description['n_images']:,} photos from {len(made.images):,} parts")
    typer.echo(f"  vector index: {description['kind']}, recall@10 {description['recall_at_10']:.3f}")
    option = "" if out == PROJECT.search_index else f" --index {out}"
    typer.echo(f'Search the photos: kadr search "a dog in the snow"{option}')


def _load_params(made: "PartPlan") -> "SearchParams":
    return load_settings(made.folder, made.model)


def _parse_share(share: str) -> tuple[int, int]:
    """Return the number of a machine and the number of machines.

    Raises:
        InputError: the text is not of the form I/N.
    """
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", share)
    number, n_shares = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= n_shares:
        raise InputError(f"--share {share}: expected I/N with I from 1 to N, e.g. 2/4 for the second of four machines.")
    return number, n_shares


def _print_status(made: "PartPlan", params: "SearchParams") -> None:
    """Print how many parts and photos are embedded, and which parts are missing."""
    from kadr.collection.part_embedding import EmbeddedPart

    needed = set(choose_encoders(params))
    found: dict[str, EmbeddedPart] = {}
    started: list[str] = []
    absent: list[str] = []
    for part in made.images:
        embedded = EmbeddedPart.read(made, part)
        if embedded is not None and needed <= embedded.encoders.keys():
            found[part] = embedded
        else:
            (started if made.part_folder(part).is_dir() else absent).append(part)
    n_images = sum(made.images[part] for part in found)
    statuses = sum((Counter(part.statuses) for part in found.values()), Counter[str]())
    unusable = ", ".join(f"{n:,} {name}" for name, n in sorted(statuses.items()) if name != "ok")
    lines = [
        f"{made.folder}: {len(found):,} of {len(made.images):,} parts embedded "
        f"({n_images:,} of {sum(made.images.values()):,} photos)",
        *([f"  not usable: {unusable}"] if unusable else []),
        *([f"  running or interrupted: {_list_names(started)}"] if started else []),
        *([f"  not started: {_list_names(absent)}"] if absent else []),
        f"Embed the missing parts: kadr scale embed {made.folder} --all"
        if started or absent
        else f"Build the index: kadr scale index {made.folder}",
    ]
    for line in lines:
        typer.echo(printable(line))


def _list_names(parts: Sequence[str]) -> str:
    more = f" and {len(parts) - _MAX_NAMES:,} more" if len(parts) > _MAX_NAMES else ""
    return ", ".join(parts[:_MAX_NAMES]) + more
