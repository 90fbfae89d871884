"""Stage clip: read the tables, write models/clip, and return the metrics."""

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image

from kadr.io.schemas import CAPTIONS, CLIP_PAIRS, IMAGES, write_table
from kadr.params import load_params
from kadr.project import PROJECT
from tasks.clip import stage

CONFIG = {
    "model_cfg": {
        "embed_dim": 8,
        "vision_cfg": {"layers": 1, "width": 16, "head_width": 16, "patch_size": 8, "image_size": 16},
        "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1},
    },
    "preprocess_cfg": {"size": 16, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "resize_mode": "squash"},
}


@pytest.mark.parametrize("rated", [False, True])
def test_the_stage_writes_a_checkpoint_and_returns_only_reproducible_metrics(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, rated: bool
) -> None:
    params = load_params(project / "params.yaml")
    monkeypatch.chdir(tmp_path)
    Path("init").mkdir()
    Path("init/open_clip_config.json").write_text(json.dumps(CONFIG))
    images, captions = [], []
    for n in range(5):
        Image.new("RGB", (16, 16), (50 * n, 0, 0)).save(f"{n}.png")
        sha256 = hashlib.sha256(Path(f"{n}.png").read_bytes()).hexdigest()
        images.append({"image_id": str(n), "path": f"{n}.png", "split": "corpus", "sha256": sha256, "status": "ok"})
        captions.append({"caption_id": f"{n}#0", "image_id": str(n), "text": f"number {n}"})
    write_table(pa.Table.from_pylist(images, IMAGES), PROJECT.corpus, IMAGES)
    write_table(pa.Table.from_pylist(captions, CAPTIONS), PROJECT.captions, CAPTIONS)
    query = {"query_id": "q", "text": "a small number", "weight": 1.0}
    rows = [{**image, **query, "relevance": n / 4} for n, image in enumerate(images)] if rated else []
    write_table(pa.Table.from_pylist(rows, CLIP_PAIRS), PROJECT.clip_pairs, CLIP_PAIRS)
    clip = params.clip.model_copy(update={"init": "init", "epochs": 1, "source": "train"})
    metrics = stage(params.model_copy(update={"clip": clip}))
    assert set(metrics) == {"source", "loss", "rating_loss", "n_photos", "n_held_out", "recall_at_1", "recall_at_5"}
    assert (metrics["rating_loss"] is not None) == rated
    assert {path.name for path in PROJECT.clip.iterdir()} == {"open_clip_config.json", "open_clip_model.safetensors"}
