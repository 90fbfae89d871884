"""What docs/ show is run: every entry is valid, every command and script works."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from kadr.io.embeddings import Embeddings
from kadr.io.schemas import IMAGES, write_table
from kadr.params import parse_params


def blocks(page: Path, language: str) -> list[str]:
    return [
        textwrap.dedent(block)
        for block in re.findall(rf"(?ms)^ *```{language}\n(.*?)^ *```", page.read_text(encoding="utf-8"))
    ]


@pytest.fixture
def folder(tmp_path: Path, project: Path) -> Path:
    shutil.copy(project / "params.yaml", tmp_path)
    shutil.copytree(project / "presets", tmp_path / "presets")
    return tmp_path


def run(command: list[str] | str, folder: Path, project: Path) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(project), "KADR_CACHE": str(folder / "cache")}
    shell = isinstance(command, str)
    done = subprocess.run(
        command, shell=shell, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_every_encoder_of_the_page_is_valid(project: Path) -> None:
    (block,) = blocks(project / "docs" / "encoders.md", "yaml")
    values = yaml.safe_load((project / "params.yaml").read_text())
    backends = set()
    for section, shown in yaml.safe_load(block).items():
        values[section]["encoders"] |= shown["encoders"]
        backends |= {entry["backend"] for entry in shown["encoders"].values()}
    params = parse_params(values, "docs/encoders.md")
    assert {"by_tag", "by_hub", "of_the_run", "resnet"} <= set(params.embed_images.encoders)
    assert backends == {"open_clip", "timm", "sentence_transformers", "tfidf"}


@pytest.mark.slow
def test_every_command_of_the_page_on_encoders(project: Path, folder: Path) -> None:
    shown = "".join(blocks(project / "docs" / "encoders.md", "bash"))
    commands = [line.split("  #")[0] for line in shown.splitlines()]
    assert len(commands) == 7
    outputs = [run(command, folder, project) for command in commands]
    assert "clip.image_layers: null -> 4" in outputs[0]
    assert "clip.ratings: 0 -> 0.5" in outputs[1]
    assert "embed_texts.encoders.stems.words: null -> stems" in outputs[2]


@pytest.mark.slow
def test_the_script_of_the_page_on_scale(project: Path, folder: Path, shared: Path) -> None:
    (script,) = blocks(project / "docs" / "scale.md", "python")
    (folder / "part.py").write_text(script)
    encoder = {"backend": "timm", "model": f"local-dir:{shared.resolve() / 'encoders' / 'mobilenetv2_100.imagenet'}"}
    values = yaml.safe_load((folder / "params.yaml").read_text())
    values["embed_images"]["encoders"]["mobilenet"] = encoder
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    photos = sorted((shared.resolve() / "flickr8k" / "test_images").iterdir())[:3]
    rows = [
        {
            "image_id": path.name,
            "path": path.as_uri(),
            "split": "corpus",
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "status": "ok",
        }
        for path in photos
    ]
    write_table(pa.Table.from_pylist(rows, IMAGES), folder / "manifests" / "3f.parquet", IMAGES)
    run([sys.executable, "part.py", "mobilenet", "3f"], folder, project)
    embeddings = Embeddings.read(folder / "vectors" / "3f.parquet")
    assert list(embeddings.ids) == [path.name for path in photos]
    assert len(list((folder / "cache" / "parts" / "3f").rglob("*.parquet"))) == 1


def test_every_message_of_the_page_on_trouble_is_one_of_ours(project: Path) -> None:
    page = (project / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"(?m)^\| `([^`]+)` \|", page)
    assert len(messages) >= 10
    code = "".join(
        path.read_text(encoding="utf-8")
        for room in ("kadr", "tasks", "flows")
        for path in (project / room).rglob("*.py")
    )
    assert [message for message in messages if message not in code] == []
