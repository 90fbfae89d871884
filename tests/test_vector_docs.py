"""Run the commands for existing vectors in docs/encoders.md with vectors of real images from a real CLIP model."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from kadr.encoders import load_image_encoder
from kadr.encoders.open_clip import OpenClipParams
from kadr.index import Index
from kadr.io.image_decoding import decode_image

NAME = "laion"


def run(command: str, folder: Path, project: Path) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(project)}
    process = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, f"{command}\n{process.stdout}\n{process.stderr}"
    return process.stdout


def read_commands(project: Path) -> list[str]:
    """Return the commands of the page that index, search or export, without comments."""
    page = (project / "docs/encoders.md").read_text(encoding="utf-8")
    lines = [
        line.split("  #")[0].strip()
        for block in re.findall(r"(?s)```bash\n(.*?)```", page)
        for line in block.splitlines()
    ]
    return [line for line in lines if line.startswith(("kadr index", "kadr search", "kadr export"))]


@pytest.fixture
def folder(tmp_path: Path, project: Path, shared: Path) -> Path:
    """Return a project folder with vectors of 12 images in the form that clip-retrieval writes."""
    model = f"local-dir:{shared.resolve() / 'encoders' / 'clip-mobilenetv2-flickr8k'}"
    clip = OpenClipParams(backend="open_clip", model=model, pretrained=None)
    encoder = load_image_encoder(clip, "fp32")
    paths = sorted((shared.resolve() / "flickr8k" / "test_images").iterdir())[:12]
    vectors = encoder.transform([decode_image(path.read_bytes(), path) for path in paths])
    output = tmp_path / "data" / "vectors" / NAME
    for name in ("img_emb", "metadata"):
        (output / name).mkdir(parents=True)
    for part, rows in enumerate((slice(0, 7), slice(7, 12))):
        np.save(output / "img_emb" / f"img_emb_{part}.npy", vectors[rows].astype(np.float16))
        table = pa.table({"image_path": [f"/elsewhere/{path.name}" for path in paths[rows]]})
        pq.write_table(table, output / "metadata" / f"metadata_{part}.parquet")
    settings = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    precomputed = {"backend": "precomputed", "path": f"data/vectors/{NAME}", "model": model, "dim": encoder.dim}
    settings["embed_images"]["encoders"] = {NAME: precomputed}
    settings["embed_texts"]["encoders"] = {NAME: clip.model_dump()}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_vectors_without_files_are_indexed_searched_and_exported(project: Path, folder: Path) -> None:
    commands = read_commands(project)
    assert [command.split()[1] for command in commands] == ["index", "search", "export", "export", "export"]
    outputs = [run(command, folder, project) for command in commands]
    assert "12 images from data/vectors/laion" in outputs[0]
    assert "/elsewhere/" in outputs[1]
    index = Index.load(folder / "models" / NAME)
    for command in commands[2:]:
        target = command.split()[2]
        run(f"kadr index --vectors {target} --out models/again", folder, project)
        again = Index.load(folder / "models" / "again")
        assert again.table["image_id"].to_pylist() == index.table["image_id"].to_pylist()
        assert again.table["path"].to_pylist() == index.table["path"].to_pylist()
        assert again.vectors[NAME].values.tolist() == index.vectors[NAME].values.tolist()
