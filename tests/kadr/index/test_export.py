"""Vectors of an index are exported and read again without any change."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from kadr.cli.main import app
from kadr.encoders.precomputed import PrecomputedImageEncoder, PrecomputedParams
from kadr.errors import SearchError
from kadr.index import Index, build_index
from kadr.index.export import export_to_files
from kadr.io.embeddings import Embeddings

NAMES = ["a", "b", "c"]
VECTORS = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)
METADATA = {
    "encoder": "open_clip ViT-B-32 openai",
    "architecture": "open_clip {}",
    "weights_sha256": "00ff",
    "preprocessing": "crop",
    "precision": "fp32",
}
IMAGES = pa.table({"image_id": NAMES, "path": [f"/photos/{name}.jpg" for name in NAMES], "status": ["ok"] * 3})


@pytest.fixture
def index() -> Index:
    return build_index(IMAGES, {"clip": Embeddings(NAMES, VECTORS, METADATA)}, "clip", 10)


@pytest.mark.parametrize("name", ["out.parquet", "out.safetensors", "out --format clip-retrieval"])
def test_an_export_is_read_again_without_any_change(index: Index, tmp_path: Path, name: str) -> None:
    (tmp_path / "index").mkdir()
    index.write(tmp_path / "index")
    target, *options = name.split()
    result = CliRunner().invoke(
        app, ["export", str(tmp_path / target), *options, "--index", str(tmp_path / "index")], catch_exceptions=False
    )
    assert result.output == f"{tmp_path / target}: exported the vectors of 3 images.\n"
    params = PrecomputedParams(backend="precomputed", path=str(tmp_path / target), model="ViT-B-32/openai", dim=8)
    encoder = PrecomputedImageEncoder.load(params, "auto")
    assert encoder.identity.metadata.items() >= METADATA.items()
    embeddings, problems = encoder.select(IMAGES)
    again = build_index(IMAGES, {"clip": embeddings}, "clip", 10)
    assert problems == {}
    assert again.vectors["clip"].values.tolist() == index.vectors["clip"].values.tolist()


def test_an_unknown_encoder_is_an_error(index: Index, tmp_path: Path) -> None:
    with pytest.raises(SearchError, match=r"no vectors of the encoder 'other'. Use one of clip"):
        export_to_files(index, tmp_path / "out.parquet", "parquet", "other")


@pytest.mark.parametrize("name", ["out.npy", "out.CSV", "out.json"])
def test_a_file_of_another_format_is_an_error(index: Index, tmp_path: Path, name: str) -> None:
    (tmp_path / "index").mkdir()
    index.write(tmp_path / "index")
    result = CliRunner().invoke(app, ["export", str(tmp_path / name), "--index", str(tmp_path / "index")])
    assert result.exit_code == 1
    assert "Use a name with the suffix .parquet or .safetensors." in result.stderr
    assert not (tmp_path / name).exists()
