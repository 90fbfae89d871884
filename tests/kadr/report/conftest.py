"""Fixtures for the report tests."""

from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def image_path(tmp_path: Path) -> str:
    """Return the path of a small image file."""
    path = tmp_path / "image.png"
    Image.new("RGB", (8, 8), "red").save(path)
    return str(path)
