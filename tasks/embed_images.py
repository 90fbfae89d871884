"""Stage embed_images@<encoder>: the photos of both tables to unit vectors."""

import sys
from functools import partial
from itertools import islice

import pyarrow as pa

from kadr.cli.stage import Metrics, run
from kadr.embed import EmbeddingCache, bad_photos, by_engine, cache_root, embed_images
from kadr.encoders import load_image_encoder
from kadr.encoders.allocator import keep_freed_memory
from kadr.errors import InputError, ParamsError
from kadr.io.schemas import IMAGES, read_table
from kadr.params import Params
from kadr.project import PROJECT


def stage(params: Params, name: str) -> Metrics:
    """Embed with the encoder `name`, write its table, return the metrics.

    Raises:
        ParamsError: where there is no such encoder.
        InputError: where a photo has changed since ingest or does not decode; all others are in the cache then.
    """
    section = params.embed_images
    if name not in section.encoders:
        raise ParamsError(f"embed_images.encoders has no {name!r}; it has {', '.join(section.encoders)}")
    keep_freed_memory()
    load = partial(load_image_encoder, section.encoders[name], section.precision)
    encoder = load()
    images = pa.concat_tables([read_table(PROJECT.images, IMAGES), read_table(PROJECT.corpus, IMAGES)])
    cache = EmbeddingCache(cache_root(), encoder.identity, encoder.dim, params.embed.vectors)
    fill = by_engine(params.embed, load, cache, section.batch_size)
    embeddings = embed_images(encoder, images, cache, section.batch_size, fill=fill)
    if bad := bad_photos(images, embeddings, cache):
        raise InputError(
            f"{len(bad)} of {len(bad) + len(embeddings.ids)} photos that ingest read do not decode: "
            + ", ".join(f"{image_id} ({status})" for image_id, status in islice(bad.items(), 5))
            + "; all others are in the cache. Mend or remove these and run `dvc repro` "
            "(`kadr cache gc --bad` has them tried again)"
        )
    embeddings.write(PROJECT.image_embeddings / f"{name}.parquet")
    return {
        "n": len(embeddings.ids),
        "dim": embeddings.dim,
        "encoder_key": encoder.identity.key,
        "weights_sha256": encoder.identity.weights_sha256,
    }


def main(arguments: list[str]) -> None:
    """Run the stage for the encoder that the command line names."""
    if len(arguments) != 1:
        sys.exit("usage: python -m tasks.embed_images ENCODER (a name under embed_images.encoders in params.yaml)")
    run(f"embed_images@{arguments[0]}", lambda params: stage(params, arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
