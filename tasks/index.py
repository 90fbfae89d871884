"""Stage index: good photos of the chosen splits and their vectors -> the folder that search reads."""

import pyarrow as pa

from kadr.cli.stage import Metrics, run
from kadr.index import build_index, published
from kadr.io.embeddings import Embeddings
from kadr.io.schemas import IMAGES, read_table
from kadr.params import Params
from kadr.project import PROJECT


def stage(params: Params) -> Metrics:
    """Build the index and publish it whole."""
    tables = [read_table(PROJECT.images, IMAGES), read_table(PROJECT.corpus, IMAGES)]
    images = pa.concat_tables(tables)
    images = images.filter(pa.compute.is_in(images["split"], pa.array(params.index.splits)))
    vectors = Embeddings.read_all(PROJECT.image_embeddings, params.embed_images.encoders)
    encoder = params.shared_encoders[0]
    texts = Embeddings.read(PROJECT.text_embeddings / f"{encoder}.parquet").vectors  # of other photos too: to ask by
    index = build_index(images, vectors, encoder, params.index.exact_max, texts=texts)
    with published(PROJECT.index) as folder:
        index.write(folder)
    size = sum(path.stat().st_size for path in PROJECT.index.rglob("*") if path.is_file())
    described = index.describe()
    return {key: described[key] for key in ("encoder", "n_images", "dim", "kind", "nprobe", "recall_at_10")} | {
        "bytes": size
    }


if __name__ == "__main__":
    run("index", stage)
