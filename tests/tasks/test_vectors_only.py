"""The whole pipeline runs on images and texts that exist only as vectors."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from kadr.index import Index
from kadr.io.embeddings import Embeddings
from tests.conftest import FinishedProject


def run(command: str, folder: Path, finished: FinishedProject, code: int = 0) -> str:
    process = subprocess.run(
        command, shell=True, cwd=folder, env=finished.environment, capture_output=True, text=True, check=False
    )
    assert process.returncode == code, f"{command}\n{process.stdout}\n{process.stderr}"
    return process.stdout + process.stderr


def use_vectors(folder: Path) -> None:
    """Move the embeddings of the CLIP model to data/vectors, remove all images, and use only these vectors."""
    settings = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    for kind in ("images", "texts"):
        path = f"data/vectors/{kind}.parquet"
        shutil.move(folder / "data/embeddings" / kind / "clip.parquet", folder / path)
        encoder: dict[str, Any] = {"backend": "precomputed", "path": path, "model": "local-dir:models/clip"}
        settings[f"embed_{kind}"]["encoders"] = {"clip": encoder | {"dim": Embeddings.read(folder / path).dim}}
    settings["ingest"]["vectors"] = "data/vectors/images.parquet"
    settings["clip"]["source"] = "none"
    (folder / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    for images in (folder / "data/raw/sample").glob("*_images"):
        shutil.rmtree(images)


@pytest.mark.slow
def test_the_pipeline_runs_without_image_files(finished: FinishedProject, tmp_path: Path) -> None:
    folder = finished.copy_to(tmp_path / "kadr")
    before = Index.load(folder / "models/index")
    page = (folder / "reports/index.html").read_bytes()
    use_vectors(folder)
    run("dvc repro", folder, finished)
    index = Index.load(folder / "models/index")
    assert index.table["image_id"].to_pylist() == before.table["image_id"].to_pylist()
    assert index.table["sha256"].null_count == len(index.table)
    assert np.array_equal(index.vectors["clip"].values, before.vectors["clip"].values)
    assert (folder / "reports/index.html").read_bytes() != page
    assert "has no vector" in run("kadr search 'zebra in space' --index models/index", folder, finished, code=1)
