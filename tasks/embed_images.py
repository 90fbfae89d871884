"""The `embed_images@<encoder>` stage embeds the images in the tables `images` and `corpus` with one encoder."""

import sys
from functools import partial
from itertools import islice

import pyarrow as pa

from kadr.cli.stage import Metrics, run_stage
from kadr.embed import embed_image_table
from kadr.encoders import load_image_encoder
from kadr.encoders.allocator import keep_freed_memory
from kadr.encoders.precomputed import PrecomputedImageEncoder
from kadr.errors import InputError, ParamsError
from kadr.io.schemas import IMAGES, read_table
from kadr.params import Params
from kadr.project import PROJECT

_MAX_EXAMPLES = 5  # maximum number of images listed in the error message
_UNDECODABLE = (
    "cannot be decoded",
    "Fix or remove these images and run `dvc repro`. To decode unchanged images again, first run "
    "`kadr cache gc --undecodable`.",
)
_MISSING = (
    "have no valid vector",
    "Add the vectors of these images to the files in `path` of the encoder, or remove the images.",
)


def stage(params: Params, name: str) -> Metrics:
    """Embed all valid images with one encoder, write the embeddings, and return the metrics.

    Args:
        params: settings from params.yaml.
        name: name of the encoder in `embed_images.encoders`.

    Raises:
        ParamsError: the encoder is not in `embed_images.encoders`.
        InputError: an image has changed since the `ingest` stage ran, cannot be decoded, or has no precomputed vector.
    """
    section = params.embed_images
    if name not in section.encoders:
        known = ", ".join(section.encoders)
        raise ParamsError(f"embed_images.encoders has no encoder {name!r}. Use one of these encoders: {known}.")
    keep_freed_memory()
    load = partial(load_image_encoder, section.encoders[name], section.precision, params.decoding)
    encoder = load()
    images = pa.concat_tables([read_table(PROJECT.images, IMAGES), read_table(PROJECT.corpus, IMAGES)])
    vectors, left_out = embed_image_table(encoder, images, params.embed, section.batch_size, load)
    if left_out:
        examples = ", ".join(f"{key} ({status})" for key, status in islice(left_out.items(), _MAX_EXAMPLES))
        n_images = len(left_out) + len(vectors.ids)
        precomputed = isinstance(encoder, PrecomputedImageEncoder)
        problem, fix = _MISSING if precomputed else _UNDECODABLE
        raise InputError(f"{len(left_out)} of {n_images} images {problem}: {examples}. {fix}")
    embeddings = vectors.load()
    embeddings.write(PROJECT.image_embeddings / f"{name}.parquet")
    return {
        "n": len(embeddings.ids),
        "dim": embeddings.dim,
        "encoder_key": encoder.identity.key,
        "weights_sha256": encoder.identity.weights_sha256,
    }


def main(arguments: list[str]) -> None:
    """Run the stage for the encoder that is named on the command line."""
    if len(arguments) != 1:
        sys.exit("usage: python -m tasks.embed_images ENCODER (a name in embed_images.encoders of params.yaml)")
    run_stage(f"embed_images@{arguments[0]}", lambda params: stage(params, arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
