"""CLIP models that are copied from a folder or trained, and loaded with open_clip."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from kadr.clip import ClipTables, build_clip
from kadr.clip.training import lock_towers
from kadr.encoders.open_clip_models import load_clip
from kadr.errors import EncoderError, InputError
from kadr.io.schemas import CAPTIONS, CLIP_PAIRS, IMAGES
from kadr.params import ClipParams

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 220), "white": (240, 240, 240)}
EMPTY = ClipTables(IMAGES.empty_table(), CAPTIONS.empty_table(), CLIP_PAIRS.empty_table())
TINY = {
    "model_cfg": {
        "embed_dim": 16,
        "vision_cfg": {"layers": 1, "width": 32, "head_width": 16, "patch_size": 8, "image_size": 16},
        "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
    },
    "preprocess_cfg": {"size": 16, "mean": [0.4, 0.5, 0.6], "std": [0.5, 0.5, 0.5], "resize_mode": "squash"},
}


def clip_params(init: Path, source: str = "train", epochs: int = 30) -> ClipParams:
    return ClipParams(
        source=source,
        model=None,
        pretrained=None,
        init=str(init),
        epochs=epochs,
        batch_size=12,
        learning_rate=3e-3,
        weight_decay=0.1,
        image_layers=None,
        text_layers=None,
        ratings=0,
    )


@pytest.fixture
def init(tmp_path: Path) -> Path:
    """Return a folder that contains the configuration of a tiny CLIP model but no weights."""
    folder = tmp_path / "init"
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps(TINY))
    return folder


@pytest.fixture
def tables(tmp_path: Path) -> ClipTables:
    """Return 40 single-colour images with two captions each, one image without captions, and one undecodable image."""
    images, captions = [], []
    for n in range(42):
        colour = list(COLOURS)[n % 4]
        path = tmp_path / f"{n:02}.png"
        shade = tuple(max(0, value - n % 7) for value in COLOURS[colour])
        Image.new("RGB", (20, 18), shade).save(path)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        status = "ok" if n != 40 else "broken"
        images.append({"image_id": f"{n:02}", "path": str(path), "split": "corpus", "sha256": sha256, "status": status})
        for k, text in enumerate((f"a {colour} wall", f"something {colour}") if n != 41 else ()):
            captions.append({"caption_id": f"{n:02}#{k}", "image_id": f"{n:02}", "text": text})
    return ClipTables(
        pa.Table.from_pylist(images, IMAGES), pa.Table.from_pylist(captions, CAPTIONS), CLIP_PAIRS.empty_table()
    )


@pytest.fixture
def rated(tables: ClipTables) -> pa.Table:
    """Return ratings for a query that has no words in common with the captions. Only red images are relevant."""
    images = [image for image in tables.corpus.to_pylist() if image["status"] == "ok"]
    rows = [
        {**image, "query_id": "t", "text": "a warm picture", "relevance": float(n % 4 == 0), "weight": 1.0 + n % 2}
        for n, image in enumerate(images[:32])
    ]
    return pa.Table.from_pylist(rows, CLIP_PAIRS)


def reverse(table: pa.Table) -> pa.Table:
    return table.take(list(reversed(range(len(table)))))


def hash_files(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def score_colours(folder: Path, texts: list[str]) -> torch.Tensor:
    """Return the cosines that open_clip computes between single-colour images and texts."""
    import open_clip

    model, transform = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    images = torch.stack([transform(Image.new("RGB", (18, 20), colour)) for colour in COLOURS.values()])
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(texts)
    with torch.inference_mode():
        return model.encode_image(images, normalize=True) @ model.encode_text(tokens, normalize=True).T


@pytest.mark.slow
def test_a_trained_clip_ranks_the_right_caption_first_and_keeps_its_preprocessing(
    init: Path, tables: ClipTables, tmp_path: Path
) -> None:
    folder = tmp_path / "clip"
    metrics = build_clip(clip_params(init), 0, tables, folder)
    assert (metrics["source"], metrics["rating_loss"]) == ("train", None)
    assert (metrics["n_photos"], metrics["n_held_out"]) == (38, 2)
    preprocessing = load_clip(f"local-dir:{folder}", None).visual.preprocess_cfg
    assert preprocessing["mean"] == TINY["preprocess_cfg"]["mean"]
    assert preprocessing["resize_mode"] == "squash"
    scores = score_colours(folder, [f"a {colour} wall" for colour in COLOURS])
    assert scores.argmax(dim=1).tolist() == [0, 1, 2, 3]


@pytest.mark.slow
def test_training_learns_from_ratings_without_forgetting_the_captions(
    init: Path, tables: ClipTables, rated: pa.Table, tmp_path: Path
) -> None:
    params = clip_params(init).model_copy(update={"ratings": 0.5})
    metrics = build_clip(params, 0, replace(tables, rated=rated), tmp_path / "clip")
    assert metrics["rating_loss"] < 0.3
    scores = score_colours(tmp_path / "clip", ["a warm picture", *(f"a {colour} wall" for colour in COLOURS)])
    assert (scores[0, 0] > scores[1:, 0] + 0.2).all(), "the rated query must rank red first"
    assert scores[:, 1:].argmax(dim=1).tolist() == [0, 1, 2, 3], "the captions must still match"


@pytest.mark.slow
def test_the_same_seed_gives_identical_files_in_any_row_order(
    init: Path, tables: ClipTables, rated: pa.Table, tmp_path: Path
) -> None:
    reversed_tables = replace(tables, corpus=reverse(tables.corpus), rated=reverse(rated))
    tables = replace(tables, rated=rated)
    metrics = build_clip(clip_params(init, epochs=3), 0, tables, tmp_path / "first")
    assert build_clip(clip_params(init, epochs=3), 0, reversed_tables, tmp_path / "second") == metrics
    build_clip(clip_params(init, epochs=3), 1, tables, tmp_path / "other_seed")
    assert hash_files(tmp_path / "first") == hash_files(tmp_path / "second")
    assert hash_files(tmp_path / "first") != hash_files(tmp_path / "other_seed")


@pytest.mark.slow
def test_training_starts_from_given_weights(init: Path, tables: ClipTables, tmp_path: Path) -> None:
    build_clip(clip_params(init), 0, tables, tmp_path / "first")
    initial = load_clip(f"local-dir:{tmp_path / 'first'}", None).state_dict()
    params = clip_params(tmp_path / "first", epochs=1).model_copy(update={"learning_rate": 1e-9})
    build_clip(params, 0, tables, tmp_path / "second")
    trained = load_clip(f"local-dir:{tmp_path / 'second'}", None).state_dict()
    for name, tensor in initial.items():
        torch.testing.assert_close(trained[name], tensor, msg=name, atol=1e-5, rtol=1e-4)


def test_a_local_clip_is_copied_without_its_permissions(init: Path, tables: ClipTables, tmp_path: Path) -> None:
    build_clip(clip_params(init, epochs=1), 0, tables, tmp_path / "source")
    (tmp_path / "source").chmod(0o555)
    metrics = build_clip(clip_params(tmp_path / "source", "local"), 0, tables, tmp_path / "copy")
    assert metrics == {"source": "local"}
    assert hash_files(tmp_path / "copy") == hash_files(tmp_path / "source")
    assert (tmp_path / "copy").stat().st_mode & 0o200


def test_an_incomplete_local_clip_is_an_error(init: Path, tables: ClipTables, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="a configuration but no weights"):
        build_clip(clip_params(init, "local"), 0, tables, tmp_path / "out")
    (init / "open_clip_model.safetensors").write_bytes(b"hello")
    with pytest.raises(EncoderError, match="cannot be loaded"):
        build_clip(clip_params(init, "local"), 0, tables, tmp_path / "out")
    with pytest.raises(EncoderError, match=r"missing/open_clip_config\.json does not exist"):
        build_clip(clip_params(tmp_path / "missing", "local"), 0, tables, tmp_path / "out")


def test_an_unknown_hub_model_is_an_error(init: Path, tables: ClipTables, tmp_path: Path) -> None:
    params = clip_params(init).model_copy(update={"source": "hub", "model": "ViT-B-99", "pretrained": "openai"})
    with pytest.raises(EncoderError, match="has no model 'ViT-B-99'"):
        build_clip(params, 0, tables, tmp_path / "out")


def test_training_needs_captioned_images(init: Path, tables: ClipTables, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ingest\.corpus"):
        build_clip(clip_params(init), 0, replace(tables, captions=CAPTIONS.empty_table()), tmp_path / "out")
    with pytest.raises(InputError, match=r"2 captioned images, but clip\.source: train requires at least 3"):
        build_clip(clip_params(init), 0, replace(tables, corpus=tables.corpus.slice(0, 2)), tmp_path / "out")


def test_training_restores_the_settings_of_torch(init: Path, tables: ClipTables, tmp_path: Path) -> None:
    previous = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        build_clip(clip_params(init, epochs=1), 0, tables, tmp_path / "out")
        assert torch.get_num_threads() == 1
        assert not torch.are_deterministic_algorithms_enabled()
    finally:
        torch.set_num_threads(previous)


@pytest.mark.slow
def test_a_copied_clip_returns_the_same_vectors(shared: Path, tmp_path: Path) -> None:
    source = shared / "encoders" / "clip-mobilenetv2-flickr8k"
    build_clip(clip_params(source, "local"), 0, EMPTY, tmp_path / "clip")
    pixels = torch.from_numpy(np.random.default_rng(0).random((2, 3, 224, 224), dtype=np.float32))
    with torch.inference_mode():
        copied, original = (
            load_clip(f"local-dir:{folder}", None).encode_image(pixels) for folder in (tmp_path / "clip", source)
        )
    torch.testing.assert_close(copied, original, rtol=0, atol=0)


@pytest.mark.slow
def test_locking_the_towers_does_not_change_the_vectors(shared: Path) -> None:
    source = shared / "encoders" / "clip-mobilenetv2-flickr8k"
    clip = load_clip(f"local-dir:{source}", None)
    pixels = torch.from_numpy(np.random.default_rng(0).random((2, 3, 224, 224), dtype=np.float32))
    with torch.inference_mode():
        expected = clip.encode_image(pixels)
        lock_towers(clip, clip_params(source).model_copy(update={"image_layers": 2, "text_layers": 0}))
        torch.testing.assert_close(clip.encode_image(pixels), expected, rtol=0, atol=0)


@pytest.mark.slow
def test_training_changes_only_unlocked_layers(shared: Path, tables: ClipTables, tmp_path: Path) -> None:
    source = shared / "encoders" / "clip-mobilenetv2-flickr8k"
    params = clip_params(source, epochs=1).model_copy(update={"image_layers": 2, "text_layers": 0})
    build_clip(params, 0, tables, tmp_path / "tuned")
    initial, tuned = (load_clip(f"local-dir:{folder}", None).state_dict() for folder in (source, tmp_path / "tuned"))
    changed = {name for name, tensor in initial.items() if not torch.equal(tuned[name], tensor)}
    assert "visual.trunk.conv_head.weight" in changed
    assert "visual.head.proj.weight" in changed
    locked = ("visual.trunk.conv_stem", "visual.trunk.blocks.4", "transformer", "token_embedding")
    assert not [name for name in changed if name.startswith(locked) or "running_" in name]


def test_a_project_can_have_no_clip_model(init: Path, tmp_path: Path) -> None:
    assert build_clip(clip_params(init, "none"), 0, EMPTY, tmp_path / "clip") == {"source": "none"}
    assert [path.name for path in (tmp_path / "clip").iterdir()] == ["README.md"]
