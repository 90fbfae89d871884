"""The command `kadr export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kadr.errors import InputError
from kadr.project import PROJECT

if TYPE_CHECKING:
    from kadr.params import StoreParams

_OTHER_SUFFIXES = (".npy", ".npz", ".csv", ".tsv", ".json", ".jsonl", ".h5", ".hdf5", ".pkl", ".zip", ".tar", ".gz")

_FORMATS = {".parquet": "parquet", ".safetensors": "safetensors", "postgresql": "pgvector", "postgres": "pgvector"}
"""Suffix of a file, or scheme of a URL -> format."""


def export(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="File to write, folder to write, or URL of a vector store, e.g. http://host:6333 or "
            "postgresql://user@host/database.",
        ),
    ],
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="parquet, safetensors, clip-retrieval, or a vector store: qdrant, pgvector, lancedb. Default: by the "
            "suffix of TARGET, pgvector for postgresql://, otherwise qdrant.",
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
    collection: Annotated[
        str, typer.Option(metavar="NAME", help="Name of the collection or table in the vector store.")
    ] = "photos",
) -> None:
    """Export the vectors of an index to Parquet, safetensors, the files of clip-retrieval, or a vector store."""
    from kadr.index import Index
    from kadr.index.export import export_to_files, export_to_store
    from kadr.io.vector_files import VECTOR_FORMATS

    form = form or _find_format(target)
    for file_format in VECTOR_FORMATS:
        if file_format == form:
            n_images = export_to_files(Index.load(index), Path(target), file_format, encoder)
            typer.echo(f"{target}: exported the vectors of {n_images:,} images.")
            return
    if encoder is not None:
        raise InputError("--encoder applies to files only. A vector store receives the vectors of the search encoder.")
    n_images = export_to_store(Index.load(index), _store_params(form, target, collection))
    typer.echo(f"{target}: the collection {collection} contains {n_images:,} images.")


def _find_format(target: str) -> str:
    """Return the format that the suffix or the scheme of the target names, or qdrant for another folder or URL.

    Raises:
        InputError: the target is a file of another format.
    """
    suffix = Path(target).suffix.lower()
    scheme, separator, _ = target.partition("://")
    if separator:
        return _FORMATS.get(scheme, "qdrant")
    if suffix in _OTHER_SUFFIXES:
        raise InputError(
            f"{target}: vectors cannot be exported to a {suffix} file. Use a name with the suffix .parquet or "
            ".safetensors. To write .npy files into a folder, use --format clip-retrieval."
        )
    return _FORMATS.get(suffix, "qdrant")


def _store_params(backend: str, address: str, collection: str) -> "StoreParams":
    """Return the settings of a vector store.

    Raises:
        InputError: the vector store is unknown, or the address or the name of the collection is invalid.
    """
    from pydantic import ValidationError

    from kadr.io.vector_files import VECTOR_FORMATS
    from kadr.params import VECTOR_STORES, StoreParams
    from kadr.params.stores import FAISS

    stores = [name for name in VECTOR_STORES.names if name != FAISS]
    if backend not in stores:
        raise InputError(f"--format {backend}: unknown format. Use one of {', '.join([*VECTOR_FORMATS, *stores])}.")
    try:
        return StoreParams(backend=backend, address=address, collection=collection)
    except ValidationError as error:
        problem = error.errors()[0]
        option = "--collection" if "collection" in problem["loc"] else address
        raise InputError(f"{option}: {problem['msg'].removeprefix('Value error, ')}. Correct it.") from error
