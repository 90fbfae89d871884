"""The web page shows a placeholder for an image that exists only as a vector."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
from PIL import Image
from starlette.testclient import TestClient

from kadr.index import Index
from kadr.serve import Service, create_app

IMAGE_ID = "red dog 000.jpg"


def test_an_image_without_a_file_has_a_placeholder(
    make_service: Callable[..., Service], make_index: Callable[..., Index], tmp_path: Path
) -> None:
    index = make_index(tmp_path / "images", 4)
    column = index.table.schema.get_field_index("sha256")
    table = index.table.set_column(column, "sha256", pa.nulls(len(index.table), pa.string()))
    service = make_service()
    searcher = replace(service.searcher, index=replace(index, table=table))
    service.hot_reload.current = replace(service.hot_reload.current, searcher=searcher)
    client = TestClient(create_app(service), base_url="http://localhost")
    response = client.get(f"/thumbnails/{IMAGE_ID}")
    thumbnail = Image.open(io.BytesIO(response.content))
    assert (response.status_code, thumbnail.size) == (200, (320, 213))
    assert len({thumbnail.convert("L").getpixel((x, 0)) for x in range(320)}) == 1
    image = client.get(f"/images/{IMAGE_ID}")
    assert (image.status_code, image.json()["detail"]) == (
        404,
        "This image exists only as a vector, so there is no image file.",
    )
    assert client.get(f"/metadata/{IMAGE_ID}").status_code == 200
