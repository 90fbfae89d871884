"""The command `kadr index`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from kadr.cli.console import printable
from kadr.cli.index_inputs import IndexInputs
from kadr.cli.index_watch import describe_update, watch_index
from kadr.cli.settings import load_settings
from kadr.cli.vector_index import check_without_photos, index_vector_files
from kadr.errors import InputError
from kadr.project import PROJECT

if TYPE_CHECKING:
    from kadr.collection import IndexUpdate
    from kadr.params import OcrScript, SearchParams

_NO_OCR = "none"


def index(
    photos: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PHOTOS",
            help="Photos to index: folders, files or fsspec addresses. Default: the addresses of the previous run.",
        ),
    ] = None,
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
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Do not index files and folders that match this pattern of a .gitignore file, e.g. 'private/' or "
            "'*.gif'. Repeat the option for several patterns. Default: the patterns of the previous run. "
            "--exclude '' removes them.",
        ),
    ] = None,
    ocr: Annotated[
        str | None,
        typer.Option(
            metavar="SCRIPT",
            help="Read the text in photos, so that it can be searched: latin (with Chinese and Japanese), cyrillic, "
            "eslav (Russian, Ukrainian), arabic, devanagari, el, korean, ta, te or th. none turns it off. Requires "
            "kadr[ocr]. Default: the script of the previous run, otherwise index.ocr.",
        ),
    ] = None,
    allow_removals: Annotated[
        bool,
        typer.Option(
            "--allow-removals",
            help="Update the index even if more than 10 % of its photos no longer exist, or if --vectors replaces "
            "its photos.",
        ),
    ] = False,
    rescan: Annotated[
        bool,
        typer.Option("--rescan", help="Read and check all photos again, even if size and times have not changed."),
    ] = False,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Keep running, and update the index whenever photos in local folders change."),
    ] = False,
    poll: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=1,
            help="With --watch: check all files every SECONDS. Default: notifications of the operating system, and 30 "
            "seconds for network folders.",
        ),
    ] = None,
    vectors: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Index images that exist only as vectors: a file or folder of vectors that were computed elsewhere.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="CLIP model: small, multilingual, large, ARCHITECTURE/WEIGHTS, hf-hub:NAME or a folder. With "
            "--vectors: the model that computed the vectors. Default: the model of the index, otherwise small.",
        ),
    ] = None,
) -> None:
    """Index your own photos to make them searchable.

    Run the command again after your photos have changed. Only new and changed photos are embedded.
    """
    check_without_photos(photos, vectors, exclude=exclude, rescan=rescan)
    if poll is not None and not watch:
        raise InputError("--poll: this option needs --watch. Add --watch, or remove --poll.")
    if vectors is not None:
        if ocr is not None:
            raise InputError("--ocr: images without files have no text. Remove --ocr or --vectors.")
        if watch:
            raise InputError("--watch: files of vectors cannot be watched. Remove --watch or --vectors.")
        index_vector_files(vectors, model, out, allow_removals=allow_removals)
        return
    update = partial(_update, out, photos or [], model, exclude, ocr, allow_removals=allow_removals, rescan=rescan)
    if watch:
        later = partial(_update, out, allow_removals=allow_removals)
        watch_index(out, photos or [], update, later, partial(_print_summary, out), poll_seconds=poll)
    else:
        _print_summary(out, update())


def _update(
    out: Path,
    photos: Sequence[str] = (),
    model: str | None = None,
    exclude: Sequence[str] | None = None,
    ocr: str | None = None,
    *,
    allow_removals: bool,
    rescan: bool = False,
) -> "IndexUpdate":
    """Update the index with the current settings and the current relevance model."""
    from kadr.collection import update_index

    params = load_settings(out, model)
    if not PROJECT.exists:
        fetch_model(params)  # before the photos are scanned, because both can take long
    inputs = IndexInputs.read(params)
    return update_index(
        photos,
        out,
        inputs.encoders,
        params.embed_images,
        params.embed,
        exact_max=params.index.exact_max,
        memory_gb=params.index.memory_gb,
        decoding=params.decoding,
        exclude=exclude,
        ocr=_choose_script(ocr, out, params.index.ocr),
        allow_removals=allow_removals,
        rescan=rescan,
        texts=inputs.texts,
        model=inputs.model,
        store=params.index.store.for_index(out),
    )


def _choose_script(option: str | None, out: Path, setting: "OcrScript | None") -> "OcrScript | None":
    """Return the script of the text to read in photos, or None.

    Raises:
        InputError: the script is unknown.
    """
    from kadr.collection.current_index import read_ocr_script
    from kadr.params import OcrScript

    if option is None:
        return read_ocr_script(out) or setting
    if option == _NO_OCR:
        return None
    scripts: tuple[OcrScript, ...] = get_args(OcrScript)
    for script in scripts:
        if script == option:
            return script
    raise InputError(f"--ocr {option}: the script is unknown. Use one of {', '.join(scripts)} or {_NO_OCR}.")


def fetch_model(params: "SearchParams") -> None:
    """Download the model of the user's index, unless it is on this machine."""
    from kadr.encoders.open_clip import OpenClipParams
    from kadr.encoders.open_clip_models import fetch_clip

    for encoder in params.embed_images.encoders.values():
        if isinstance(encoder, OpenClipParams):
            fetch_clip(encoder.model, encoder.pretrained)


def _print_summary(out: Path, update: "IndexUpdate") -> None:
    description = update.index.describe()
    lines = [describe_update(update, out)]
    recall = f"recall@10 {description['recall_at_10']:.3f}"
    lines.append(f"  vector index: {description['kind']}, {recall}, nprobe {description['nprobe']}")
    if update.set_aside:
        reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(update.set_aside.items()))
        lines.append(f"  not indexed: {reasons} (listed in {out}/set_aside.parquet)")
    if update.kept:
        example = printable(update.kept[0])
        lines.append(f"  kept: {len(update.kept):,} photos of the index that cannot be read now (e.g. {example})")
    if passed_over := update.passed_over.describe():
        lines.append(f"  passed over: {printable(passed_over)}")
    if update.exclude:
        lines.append(f"  excluded by --exclude: {', '.join(update.exclude)}")
    option = "" if out == PROJECT.search_index else f" --index {out}"
    for line in [*lines, f'Search the photos: kadr search "a dog in the snow"{option}']:
        typer.echo(line)
