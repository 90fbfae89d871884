"""The command line's part for collections: `kadr index` and `export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kadr.collection import Update

PARAMS = Path("params.yaml")
PHOTOS = Path("models/photos")
RELEVANCE_MODEL = Path("models/relevance")
TEXT_EMBEDDINGS = Path("data/embeddings/texts")

app = typer.Typer()


@app.command("index")
def index_(
    photos: Annotated[
        list[str] | None,
        typer.Argument(metavar="PHOTOS", help="Folders, files or fsspec addresses; none: those of the last time."),
    ] = None,
    out: Annotated[Path, typer.Option(help="The index, a link to its newest version.")] = PHOTOS,
) -> None:
    """Index photos of any folders, so that they can be searched; again: what is new, changed, moved or gone."""
    from kadr.collection import index_photos
    from kadr.io.embeddings import Embeddings
    from kadr.model import RelevanceModel
    from kadr.params import load_params

    params = load_params(PARAMS)
    model = RelevanceModel.load(RELEVANCE_MODEL) if params.index.rerank and RELEVANCE_MODEL.is_dir() else None
    encoders = list(params.embed_images.encoders) if model else params.shared_encoders[:1]
    encoders.sort(key=lambda name: name != params.shared_encoders[0])
    texts = TEXT_EMBEDDINGS / f"{encoders[0]}.parquet"
    known = Embeddings.read(texts) if texts.is_file() else None
    update = index_photos(photos or [], out, params, encoders, texts=known, model=model)
    for line in _told(update, out):
        typer.echo(line)


@app.command()
def export(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Of Qdrant, e.g. http://host:6333, or a folder.")],
    index: Annotated[Path, typer.Option("--index", "-i", help="What to upload.")] = PHOTOS,
    collection: Annotated[str, typer.Option(metavar="NAME", help="Of the photos in Qdrant.")] = "photos",
) -> None:
    """Upload an index to Qdrant, a distributed vector store."""
    from kadr.index import Index
    from kadr.index.qdrant import export_to_qdrant

    n = export_to_qdrant(Index.load(index), address, collection)
    typer.echo(f"{address}: collection {collection} holds {n:,} photos")


def _told(update: "Update", out: Path) -> list[str]:
    """What happened, in lines."""
    described = update.index.describe()
    changes = ", ".join(f"{n:,} {what}" for what, n in update.changes.items() if n)
    lines = [f"{out}: {described['n_images']:,} photos ({changes}){'' if update.published else ', as before'}"]
    lines.append(f"  {described['kind']}, recall@10 {described['recall_at_10']:.3f}, nprobe {described['nprobe']}")
    if update.set_aside:
        reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(update.set_aside.items()))
        lines.append(f"  set aside: {reasons} ({out}/set_aside.parquet names them)")
    if update.n_others:
        lines.append(f"  passed over: {update.n_others:,} files that are no photos by their names")
    return [*lines, f'search it: kadr search "a dog in the snow" --index {out}']
