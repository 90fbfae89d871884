"""Create IMAGES tables for the benchmarks. Columns that the benchmarks do not need are null."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from kadr.io.schemas import IMAGES


def make_image_table(ids: Sequence[str], paths: Sequence[str], sha256: Sequence[str], split: str) -> pa.Table:
    """Return a table of valid images with schema IMAGES.

    Args:
        ids: (n_images,) image IDs.
        paths: (n_images,) paths or URIs.
        sha256: (n_images,) SHA-256 hashes of the image files.
        split: Name of the split that contains all images.
    """
    n_images = len(ids)
    columns: Mapping[str, Sequence[str]] = {
        "image_id": ids,
        "path": paths,
        "split": [split] * n_images,
        "sha256": sha256,
        "status": ["ok"] * n_images,
    }
    arrays = [
        pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(n_images, field.type)
        for field in IMAGES
    ]
    return pa.Table.from_arrays(arrays, schema=IMAGES)
