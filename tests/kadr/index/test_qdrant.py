"""Tests of the export of an index to Qdrant."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kadr.errors import InputError, SearchError
from kadr.index import Index, build_index
from kadr.index.qdrant import export_to_qdrant
from kadr.io.embeddings import Embeddings

NAMES = ["a", "b", "c"]
VECTORS = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)

qdrant_client = pytest.importorskip("qdrant_client")


@pytest.fixture
def index() -> Index:
    images = pa.table({"image_id": NAMES, "path": NAMES, "width": [1, None, 3], "status": ["ok"] * 3})
    return build_index(images, {"clip": Embeddings(NAMES, VECTORS, {})}, "clip", 10)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_images_are_uploaded_once(index: Index, tmp_path: Path) -> None:
    for _ in range(2):
        assert export_to_qdrant(index, str(tmp_path), "photos") == 3
    store = qdrant_client.QdrantClient(path=str(tmp_path))
    found = store.query_points("photos", query=[0.6, 0.8], limit=2).points
    assert [point.payload for point in found] == [
        {"image_id": "c", "path": "c", "width": 3},
        {"image_id": "b", "path": "b"},
    ]
    assert found[0].score == pytest.approx(1, abs=1e-3)
    store.close()
    other = build_index(index.table.append_column("status", pa.array(["ok"] * 3)), {"o": OTHER}, "o", 10)
    with pytest.raises(SearchError, match="does not accept vectors of length 3"):
        export_to_qdrant(other, str(tmp_path), "photos")


OTHER = Embeddings(NAMES, np.eye(3, dtype=np.float32), {})


def test_an_unreachable_server_is_an_error(index: Index) -> None:
    with pytest.raises(InputError, match="Qdrant does not respond"):
        export_to_qdrant(index, "http://127.0.0.1:9", "photos")
