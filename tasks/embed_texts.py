"""Stage embed_texts@<encoder>: the queries and captions to unit vectors, and the encoder kept for queries to come."""

import sys
from functools import partial

import pyarrow as pa

from kadr.cli.stage import Metrics, run
from kadr.embed import EmbeddingCache, by_engine, cache_root, embed_texts
from kadr.encoders import fit_text_encoder
from kadr.encoders.allocator import keep_freed_memory
from kadr.errors import ParamsError
from kadr.io.schemas import CAPTIONS, QUERIES, read_table
from kadr.io.texts import normalise_text
from kadr.params import Params
from kadr.project import PROJECT


def stage(params: Params, name: str) -> Metrics:
    """Embed with the encoder `name`, write its table and itself, return the metrics.

    Raises:
        ParamsError: where there is no such encoder.
        InputError: where one id has two texts, as a query and as a caption.
    """
    section = params.embed_texts
    if name not in section.encoders:
        raise ParamsError(f"embed_texts.encoders has no {name!r}; it has {', '.join(section.encoders)}")
    queries, captions = read_table(PROJECT.queries, QUERIES), read_table(PROJECT.captions, CAPTIONS)
    keep_freed_memory()
    learned = training_texts(queries, captions)
    load = partial(fit_text_encoder, section.encoders[name], section.precision, learned, params.seed)
    encoder = load()
    ids = queries.column("query_id").to_pylist() + captions.column("caption_id").to_pylist()
    texts = queries.column("text").to_pylist() + captions.column("text").to_pylist()
    cache = EmbeddingCache(cache_root(), encoder.identity, encoder.dim, params.embed.vectors)
    fill = by_engine(params.embed, load, cache, section.batch_size)
    embeddings = embed_texts(encoder, ids, texts, cache, section.batch_size, fill=fill)
    embeddings.write(PROJECT.text_embeddings / f"{name}.parquet")
    encoder.save(PROJECT.text_encoders / name)
    return {
        "n": len(embeddings.ids),
        "dim": embeddings.dim,
        "encoder_key": encoder.identity.key,
        "weights_sha256": encoder.identity.weights_sha256,
    }


def training_texts(queries: pa.Table, captions: pa.Table) -> list[str]:
    """The texts of the training queries and of all captions, normalised."""
    trained = [row["text"] for row in queries.to_pylist() if row["split"] == "train"]
    return [normalise_text(text) for text in trained + captions.column("text").to_pylist()]


def main(arguments: list[str]) -> None:
    """Run the stage for the encoder that the command line names."""
    if len(arguments) != 1:
        sys.exit("usage: python -m tasks.embed_texts ENCODER (a name under embed_texts.encoders in params.yaml)")
    run(f"embed_texts@{arguments[0]}", lambda params: stage(params, arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
