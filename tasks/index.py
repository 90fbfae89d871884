"""Stage index: good photos of the chosen splits and their vectors -> the folder that search reads."""

import pyarrow as pa

from kadr.embeddings import Embeddings
from kadr.index import build_index, published
from kadr.params import Params
from kadr.schemas import IMAGES, read_table
from tasks import paths
from tasks.stage import Metrics, run


def stage(params: Params) -> Metrics:
    """Build the index and publish it whole."""
    tables = [read_table(paths.IMAGES, IMAGES), read_table(paths.CORPUS, IMAGES)]
    images = pa.concat_tables(tables)
    images = images.filter(pa.compute.is_in(images["split"], pa.array(params.index.splits)))
    vectors = Embeddings.read_all(paths.IMAGE_EMBEDDINGS, params.embed_images.encoders)
    encoder = params.shared_encoders[0]
    texts = Embeddings.read(paths.TEXT_EMBEDDINGS / f"{encoder}.parquet").vectors  # of other photos too: to ask by
    index = build_index(images, vectors, encoder, params.index.exact_max, texts=texts)
    with published(paths.INDEX) as folder:
        index.write(folder)
    size = sum(path.stat().st_size for path in paths.INDEX.rglob("*") if path.is_file())
    described = index.describe()
    return {key: described[key] for key in ("encoder", "n_images", "dim", "kind", "nprobe", "recall_at_10")} | {
        "bytes": size
    }


if __name__ == "__main__":
    run("index", stage)
