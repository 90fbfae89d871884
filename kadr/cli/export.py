"""The command `kadr export`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from kadr.errors import InputError
from kadr.project import PROJECT

ExportFormat = Literal["qdrant", "clip-retrieval", "parquet", "safetensors"]

_OTHER_SUFFIXES = (".npy", ".npz", ".csv", ".tsv", ".json", ".jsonl", ".h5", ".hdf5", ".pkl", ".zip", ".tar", ".gz")

_SUFFIXES: dict[str, ExportFormat] = {".parquet": "parquet", ".safetensors": "safetensors"}


def export(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="File to write, folder to write, or URL of a Qdrant server, e.g. http://host:6333.",
        ),
    ],
    form: Annotated[
        ExportFormat | None,
        typer.Option(
            "--format",
            help="Form of the vectors. Default: parquet or safetensors by the suffix of TARGET, otherwise qdrant.",
        ),
    ] = None,
    *,
    index: Annotated[
        Path,
        typer.Option(
            "--index",
            "-i",
            metavar="DIR",
            help="Index to export.",
            default_factory=lambda: PROJECT.photo_index,
            show_default="models/photos in a project, otherwise your own index",
        ),
    ],
    encoder: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Image encoder whose vectors are exported. Default: the search encoder."),
    ] = None,
    collection: Annotated[str, typer.Option(metavar="NAME", help="Name of the Qdrant collection.")] = "photos",
) -> None:
    """Export the vectors of an index: to Parquet, safetensors, the files of clip-retrieval, or Qdrant."""
    from kadr.index import Index
    from kadr.index.export import export_to_files
    from kadr.index.qdrant import export_to_qdrant

    form = form or _find_format(target)
    if form != "qdrant":
        n_images = export_to_files(Index.load(index), Path(target), form, encoder)
        typer.echo(f"{target}: exported the vectors of {n_images:,} images.")
        return
    if encoder is not None:
        raise InputError("--encoder applies to files only. Qdrant receives the vectors of the search encoder.")
    n_images = export_to_qdrant(Index.load(index), target, collection)
    typer.echo(f"{target}: the collection {collection} contains {n_images:,} images.")


def _find_format(target: str) -> ExportFormat:
    """Return the format that the suffix of the target names, or qdrant for a folder or URL.

    Raises:
        InputError: the target is a file of another format.
    """
    suffix = Path(target).suffix.lower()
    if "://" not in target and suffix in _OTHER_SUFFIXES:
        raise InputError(
            f"{target}: vectors cannot be exported to a {suffix} file. Use a name with the suffix .parquet or "
            ".safetensors. To write .npy files into a folder, use --format clip-retrieval."
        )
    return _SUFFIXES.get(suffix, "qdrant")
