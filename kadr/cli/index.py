"""The commands `kadr index` and `kadr export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kadr.project import PROJECT

if TYPE_CHECKING:
    from kadr.collection import IndexUpdate


def index(
    photos: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PHOTOS",
            help="Photos to index: folders, files or fsspec addresses. Default: the addresses of the previous run.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Path of the index: a symbolic link to its current version.")
    ] = (PROJECT.photo_index),
) -> None:
    """Index your own photos to make them searchable.

    Run the command again after your photos have changed. Only new and changed photos are embedded.
    """
    from kadr.collection import update_index
    from kadr.io.embeddings import Embeddings
    from kadr.model import RelevanceModel
    from kadr.params import load_params

    params = load_params(PROJECT.params)
    has_model = params.index.rerank > 0 and PROJECT.relevance_model.is_dir()
    search_encoder = params.shared_encoders[0]
    others = [name for name in params.embed_images.encoders if name != search_encoder] if has_model else []
    texts_path = PROJECT.text_embeddings / f"{search_encoder}.parquet"
    update = update_index(
        photos or [],
        out,
        [search_encoder, *others],
        params.embed_images,
        params.embed,
        exact_max=params.index.exact_max,
        max_pixels=params.ingest.max_pixels,
        texts=Embeddings.read(texts_path) if texts_path.is_file() else None,
        model=RelevanceModel.load(PROJECT.relevance_model) if has_model else None,
    )
    for line in _summarise(update, out):
        typer.echo(line)


def export(
    address: Annotated[
        str,
        typer.Argument(metavar="ADDRESS", help="URL of a Qdrant server, e.g. http://host:6333, or a local folder."),
    ],
    index: Annotated[Path, typer.Option("--index", "-i", metavar="DIR", help="Index to upload.")] = PROJECT.photo_index,
    collection: Annotated[str, typer.Option(metavar="NAME", help="Name of the Qdrant collection.")] = "photos",
) -> None:
    """Upload an index to Qdrant, a distributed vector database."""
    from kadr.index import Index
    from kadr.index.qdrant import export_to_qdrant

    n_images = export_to_qdrant(Index.load(index), address, collection)
    typer.echo(f"{address}: the collection {collection} contains {n_images:,} images.")


def _summarise(update: "IndexUpdate", out: Path) -> list[str]:
    description = update.index.describe()
    changes = ", ".join(f"{n:,} {change}" for change, n in update.changes.items() if n)
    state = "" if update.published else ", no new version"
    lines = [f"{out}: {description['n_images']:,} photos ({changes}{state})"]
    recall = f"recall@10 {description['recall_at_10']:.3f}"
    lines.append(f"  vector index: {description['kind']}, {recall}, nprobe {description['nprobe']}")
    if update.set_aside:
        reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(update.set_aside.items()))
        lines.append(f"  not indexed: {reasons} (listed in {out}/set_aside.parquet)")
    if update.n_others:
        lines.append(f"  skipped: {update.n_others:,} files without an image suffix")
    return [*lines, f'Search the photos: kadr search "a dog in the snow" --index {out}']
