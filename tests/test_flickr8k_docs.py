"""Check that the script in docs/flickr8k.md arranges a copy of Flickr8k for stage `ingest`."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_docs import read_blocks

N_RATED, N_UNRATED = 12, 130


@pytest.fixture
def download(shared: Path, tmp_path: Path) -> Path:
    """Return a small copy of Flickr8k with the file names of the original download."""
    source, folder = shared / "flickr8k", tmp_path / "data/raw/flickr8k"
    (folder / "Flicker8k_Dataset").mkdir(parents=True)
    rated = {path.name for path in sorted((source / "train_images").iterdir())[:N_RATED]}
    others = sorted((source / "corpus_images").iterdir())[:N_UNRATED]
    for path in [*(source / "train_images" / name for name in rated), *others]:
        shutil.copy(path, folder / "Flicker8k_Dataset")
    for name, target in (("ExpertAnnotations.tsv",) * 2, ("CrowdAnnotations.tsv", "CrowdFlowerAnnotations.tsv")):
        rows = [line for line in (source / name).read_text().splitlines(keepends=True) if line.split("\t")[0] in rated]
        (folder / target).with_suffix(".txt").write_text("".join(rows))
    with (source / "train_dataset.csv").open(encoding="utf-8") as file:
        texts = {row["query_id"]: row["query_text"] for row in csv.DictReader(file)}
    captions = (source / "corpus_captions.tsv").read_text(encoding="utf-8")
    known = captions + "".join(f"{query}\t{text}\n" for query, text in texts.items() if f"{query}\t" not in captions)
    (folder / "Flickr8k.token.txt").write_text(known, encoding="utf-8")
    return folder


def test_the_script_arranges_flickr8k_for_ingest(download: Path, project: Path, tmp_path: Path) -> None:
    (script,) = read_blocks(project / "docs/flickr8k.md", "python")
    subprocess.run([sys.executable, "-c", script], cwd=download, check=True)
    for name in ("tasks", "presets", "expectations", "params.yaml"):
        copy = shutil.copytree if (project / name).is_dir() else shutil.copy
        copy(project / name, tmp_path / name)
    use, *_ = read_blocks(project / "docs/flickr8k.md", "bash")[0].splitlines()
    environment = os.environ | {"PYTHONPATH": str(project)}
    options = ["-S", "ingest.max_bad_rows=0.5"]
    arguments = [*use.removeprefix("kadr ").split(), *options]
    subprocess.run([sys.executable, "-m", "kadr", *arguments], cwd=tmp_path, env=environment, check=True)
    subprocess.run([sys.executable, "-m", "tasks.ingest"], cwd=tmp_path, env=environment, check=True)
    metrics = json.loads((tmp_path / "metrics/ingest.json").read_text())
    assert metrics["photos"] == {"train": {"ok": N_RATED}, "test": {"ok": 100}, "corpus": {"ok": N_UNRATED - 100}}
    assert metrics["ratings"]["expert"] > 0
    assert metrics["ratings"]["crowd"] > 0
    assert metrics["queries"]["test"] == 500
