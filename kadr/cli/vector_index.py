"""Index images that exist only as vectors, for the command `kadr index --vectors`."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kadr.cli.settings import load_settings
from kadr.errors import InputError, ParamsError
from kadr.project import PROJECT

if TYPE_CHECKING:
    from kadr.encoders.precomputed import PrecomputedImageEncoder
    from kadr.params import SearchParams

logger = logging.getLogger(__name__)


def index_vector_files(vectors: str, model: str | None, out: Path, *, allow_removals: bool = False) -> None:
    """Build an index of all images in files of vectors, and print a summary.

    Args:
        vectors: file or folder of the vectors.
        model: model that computed the vectors. None for the model of the text encoder for search.
        out: path of the index.
        allow_removals: whether to replace an index of photos in folders.

    Raises:
        InputError: the files cannot be read.
        ParamsError: the text encoder for search belongs to another model.
    """
    from kadr.collection.vector_collection import index_vectors
    from kadr.io.embeddings import Embeddings
    from kadr.model import RelevanceModel

    params = load_settings(out, None if PROJECT.exists else model)
    search_encoder = params.shared_encoders[0]
    encoders = {search_encoder: _open_search_vectors(params, vectors, model)}
    has_model = params.index.rerank > 0 and PROJECT.relevance_model.is_dir() and _add_other_vectors(params, encoders)
    texts_path = PROJECT.text_embeddings / f"{search_encoder}.parquet"
    update = index_vectors(
        out,
        encoders,
        exact_max=params.index.exact_max,
        memory_gb=params.index.memory_gb,
        allow_removals=allow_removals,
        texts=Embeddings.read(texts_path) if texts_path.is_file() else None,
        model=RelevanceModel.load(PROJECT.relevance_model) if has_model else None,
        store=params.index.store.for_index(out),
    )
    description = update.index.describe()
    state = "" if update.published else " (unchanged, no new version)"
    typer.echo(f"{out}: {description['n_images']:,} images from {vectors}{state}")
    typer.echo(f"  vector index: {description['kind']}, recall@10 {description['recall_at_10']:.3f}")
    if update.left_out:
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(update.left_out.items()))
        typer.echo(f"  not indexed: {reasons} (listed in {out}/set_aside.parquet)")
    option = "" if out == PROJECT.search_index else f" --index {out}"
    typer.echo(f'Search the images: kadr search "a dog in the snow"{option}')


def check_without_photos(
    photos: list[str] | None, vectors: str | None, *, exclude: list[str] | None, rescan: bool
) -> None:
    """Check that `--vectors` is not combined with photos or their options.

    Raises:
        InputError: the arguments do not fit together.
    """
    if vectors is not None and photos:
        raise InputError(
            "--vectors indexes images without files, so it cannot be combined with PHOTOS. To index photos whose "
            "vectors were computed elsewhere, set `backend: precomputed` in embed_images.encoders of params.yaml."
        )
    if vectors is not None and (exclude is not None or rescan):
        option = "--exclude" if exclude is not None else "--rescan"
        raise InputError(f"{option} applies to photos in folders, so it cannot be combined with --vectors. Remove it.")


def _open_search_vectors(params: "SearchParams", vectors: str, model: str | None) -> "PrecomputedImageEncoder":
    from kadr.encoders.precomputed import PrecomputedImageEncoder, PrecomputedParams, normalise_model
    from kadr.io.vector_files import open_vector_files

    name = params.shared_encoders[0]
    space = params.embed_texts.encoders[name].vector_space
    if space is None or normalise_model(model or space) != normalise_model(space):
        raise ParamsError(
            f"The vectors were computed by {model or 'an unknown model'}, but the texts of queries are embedded by "
            f"{space or name} (embed_texts.encoders.{name}). Set this text encoder to the model of the vectors, or "
            "correct --model."
        )
    dim = open_vector_files(Path(vectors).expanduser(), "image").dim
    settings = PrecomputedParams(backend="precomputed", path=vectors, model=model or space, dim=dim)
    return PrecomputedImageEncoder(settings)


def _add_other_vectors(params: "SearchParams", encoders: "dict[str, PrecomputedImageEncoder]") -> bool:
    """Add the other precomputed vectors in params.yaml. Return whether the vectors of all image encoders are available.

    A relevance model needs the vectors of all image encoders in params.yaml.
    """
    from kadr.encoders.precomputed import PrecomputedImageEncoder, PrecomputedParams

    others = {name: image for name, image in params.embed_images.encoders.items() if name not in encoders}
    live = [name for name, image in others.items() if not isinstance(image, PrecomputedParams)]
    if live:
        logger.warning(
            "The relevance model cannot rank images without files, because it needs the encoder %s. Search ranks these "
            "images by cosine.",
            live[0],
        )
        return False
    encoders |= {
        name: PrecomputedImageEncoder(image) for name, image in others.items() if isinstance(image, PrecomputedParams)
    }
    return True
