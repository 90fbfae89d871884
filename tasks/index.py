"""The `index` stage builds the search index from the valid images of the splits in `index.splits`."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from kadr.cli.stage import Metrics, run_stage
from kadr.index import Index, build_index, publish_folder
from kadr.io.embeddings import Embeddings
from kadr.io.embeddings_table import EmbeddingsTable
from kadr.io.schemas import CAPTIONS, IMAGES, read_table
from kadr.params import IndexParams, Params
from kadr.project import PROJECT


def index(params: Params) -> Metrics:
    """Build and publish the search index, and return its metrics."""
    with publish_folder(PROJECT.index) as folder:
        built = build_project_index(params.index, list(params.embed_images.encoders), params.shared_encoders[0], folder)
        built.write(folder)
    size = sum(path.stat().st_size for path in PROJECT.index.rglob("*") if path.is_file())
    description = built.describe()
    keys = ("encoder", "n_images", "dim", "kind", "nprobe", "recall_at_10")
    return {key: description[key] for key in keys} | {"bytes": size}


def build_project_index(params: IndexParams, encoders: Sequence[str], search_encoder: str, folder: Path) -> Index:
    """Build the index from the tables and embeddings of the project.

    Args:
        params: settings of the stage: splits to index, memory and kind of the vector index, and vector store.
        encoders: names of all image encoders.
        search_encoder: name of the encoder that embeds queries and images into the same vector space.
        folder: folder of the index, to which the vectors are written.
    """
    images = pa.concat_tables([read_table(PROJECT.images, IMAGES), read_table(PROJECT.corpus, IMAGES)])
    images = images.filter(pa.compute.is_in(images["split"], pa.array(params.splits)))
    images = add_captions(images, read_table(PROJECT.captions, CAPTIONS))
    vectors = EmbeddingsTable.open_all(PROJECT.image_embeddings, encoders)
    texts = Embeddings.read(PROJECT.text_embeddings / f"{search_encoder}.parquet").vectors
    return build_index(
        images,
        vectors,
        search_encoder,
        params.exact_max,
        memory_gb=params.memory_gb,
        store=params.store.for_index(PROJECT.index),
        texts=texts,
        folder=folder,
    )


def add_captions(images: pa.Table, captions: pa.Table) -> pa.Table:
    """Return a table of images with the column description: the captions of each image, or null.

    Args:
        images: table with the schema IMAGES.
        captions: table with the schema CAPTIONS.
    """
    texts: dict[str, list[str]] = defaultdict(list)
    for image_id, text in zip(*(captions[name].to_pylist() for name in ("image_id", "text")), strict=True):
        texts[image_id].append(text)
    descriptions = ["; ".join(texts[image_id]) or None for image_id in images["image_id"].to_pylist()]
    return images.append_column("description", pa.array(descriptions, pa.string()))


if __name__ == "__main__":
    run_stage("index", index)
