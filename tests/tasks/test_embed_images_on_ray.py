"""Stage embed_images with `embed.engine: ray` and a real encoder, compared with the local engine."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml

from kadr.io.embeddings import Embeddings
from kadr.io.schemas import IMAGES, write_table
from kadr.project import PROJECT

pytestmark = pytest.mark.slow

N = 24


def run_stage(project: Path, folder: Path, engine: str, model: str) -> tuple[Embeddings, str]:
    """Run the stage as a command, and return its embeddings and its log."""
    params = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    params["embed"] |= {"engine": engine}
    params["embed_images"]["encoders"]["mobilenet"] = {"backend": "timm", "model": model}
    params["embed_images"]["batch_size"] = 2
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    environment = {"PYTHONPATH": str(project), "KADR_CACHE": f"cache_{engine}", "RAY_USAGE_STATS_ENABLED": "0"}
    completed = subprocess.run(
        [sys.executable, "-m", "tasks.embed_images", "mobilenet"],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert completed.returncode == 0, completed.stderr[-3000:]
    return Embeddings.read(folder / PROJECT.image_embeddings / "mobilenet.parquet"), completed.stderr


def test_both_engines_return_the_same_vectors(shared: Path, project: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    rows = [
        {
            "image_id": path.name,
            "path": str(path),
            "split": "train",
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "status": "ok",
        }
        for path in sorted((shared / "flickr8k" / "train_images").iterdir(), reverse=True)[:N]
    ]
    write_table(pa.Table.from_pylist(rows, IMAGES), tmp_path / PROJECT.images, IMAGES)
    write_table(IMAGES.empty_table(), tmp_path / PROJECT.corpus, IMAGES)
    model = f"local-dir:{shared / 'encoders' / 'mobilenetv2_100.imagenet'}"
    ray, log = run_stage(project, tmp_path, "ray", model)
    assert f"embed on Ray: {N} of {N}" in log
    assert f"embed images: computed {N} vectors ({N} on Ray)" in log
    local, log = run_stage(project, tmp_path, "local", model)
    assert f"embed images: computed {N} vectors" in log
    assert ray.ids == local.ids
    assert ray.metadata == local.metadata
    np.testing.assert_array_equal(ray.vectors, local.vectors)
