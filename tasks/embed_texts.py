"""The `embed_texts@<encoder>` stage embeds queries and captions, and saves the encoder for new queries."""

import sys
from functools import partial

import pyarrow as pa

from kadr.cli.stage import Metrics, run_stage
from kadr.embed import embed_text_table
from kadr.encoders import fit_text_encoder
from kadr.encoders.allocator import keep_freed_memory
from kadr.errors import ParamsError
from kadr.io.schemas import CAPTIONS, QUERIES, read_table
from kadr.io.texts import normalise_text
from kadr.params import Params
from kadr.project import PROJECT


def stage(params: Params, name: str) -> Metrics:
    """Embed all texts with one encoder, write the embeddings and the encoder, and return the metrics.

    Args:
        params: settings from params.yaml.
        name: name of the encoder in `embed_texts.encoders`.

    Raises:
        ParamsError: the encoder is not in `embed_texts.encoders`.
        InputError: two different texts have the same ID.
        EncoderError: a text has no precomputed vector.
    """
    section = params.embed_texts
    if name not in section.encoders:
        known = ", ".join(section.encoders)
        raise ParamsError(f"embed_texts.encoders has no encoder {name!r}. Use one of these encoders: {known}.")
    queries, captions = read_table(PROJECT.queries, QUERIES), read_table(PROJECT.captions, CAPTIONS)
    keep_freed_memory()
    train_texts = training_texts(queries, captions)
    load = partial(fit_text_encoder, section.encoders[name], section.precision, train_texts, params.seed)
    encoder = load()
    ids = queries.column("query_id").to_pylist() + captions.column("caption_id").to_pylist()
    texts = queries.column("text").to_pylist() + captions.column("text").to_pylist()
    _check_dim(params, name, encoder.dim)
    encoder, embeddings = embed_text_table(
        encoder, ids, texts, params=params.embed, batch_size=section.batch_size, load=load
    )
    embeddings.write(PROJECT.text_embeddings / f"{name}.parquet")
    encoder.save(PROJECT.text_encoders / name)
    return {
        "n": len(embeddings.ids),
        "dim": embeddings.dim,
        "encoder_key": encoder.identity.key,
        "weights_sha256": encoder.identity.weights_sha256,
    }


def _check_dim(params: Params, name: str, dim: int) -> None:
    """Raise ParamsError if the image vectors of the same name were computed elsewhere and have another length."""
    image_dim = getattr(params.embed_images.encoders.get(name), "dim", dim)
    if name in params.shared_encoders and image_dim != dim:
        raise ParamsError(
            f"embed_images.encoders.{name}.dim is {image_dim}, but the text vectors of the encoder {name} have the "
            f"length {dim}. Set both encoders to the model that computed the image vectors."
        )


def training_texts(queries: pa.Table, captions: pa.Table) -> list[str]:
    """Return the normalised texts of all captions and of the queries in the train split."""
    train_queries = [row["text"] for row in queries.to_pylist() if row["split"] == "train"]
    return [normalise_text(text) for text in train_queries + captions.column("text").to_pylist()]


def main(arguments: list[str]) -> None:
    """Run the stage for the encoder that is named on the command line."""
    if len(arguments) != 1:
        sys.exit("usage: python -m tasks.embed_texts ENCODER (a name in embed_texts.encoders of params.yaml)")
    run_stage(f"embed_texts@{arguments[0]}", lambda params: stage(params, arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
