"""The CLIP of a run: a folder that open_clip loads, equal to its source, or trained to the same bytes each time."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from kadr.clip import Tables, obtain_clip
from kadr.clip.training import lock_towers
from kadr.encoders.open_clip_models import load_clip
from kadr.errors import EncoderError, InputError
from kadr.io.schemas import CAPTIONS, CLIP_PAIRS, IMAGES
from kadr.params import ClipParams

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 220), "white": (240, 240, 240)}
NOTHING = Tables(IMAGES.empty_table(), CAPTIONS.empty_table(), CLIP_PAIRS.empty_table())
TINY = {
    "model_cfg": {
        "embed_dim": 16,
        "vision_cfg": {"layers": 1, "width": 32, "head_width": 16, "patch_size": 8, "image_size": 16},
        "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
    },
    "preprocess_cfg": {"size": 16, "mean": [0.4, 0.5, 0.6], "std": [0.5, 0.5, 0.5], "resize_mode": "squash"},
}


def params(init: Path, source: str = "train", epochs: int = 30) -> ClipParams:
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
    folder = tmp_path / "init"
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps(TINY))
    return folder


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    """40 photos of one colour each with two captions, one photo without captions and one set aside; none rated."""
    images, captions = [], []
    for n in range(42):
        colour = list(COLOURS)[n % 4]
        path = tmp_path / f"{n:02}.png"
        shade = tuple(max(0, value - n % 7) for value in COLOURS[colour])
        Image.new("RGB", (20, 18), shade).save(path)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        status = "ok" if n != 40 else "unreadable"
        images.append({"image_id": f"{n:02}", "path": str(path), "split": "corpus", "sha256": sha256, "status": status})
        for k, text in enumerate((f"a {colour} wall", f"something {colour}") if n != 41 else ()):
            captions.append({"caption_id": f"{n:02}#{k}", "image_id": f"{n:02}", "text": text})
    return Tables(
        pa.Table.from_pylist(images, IMAGES), pa.Table.from_pylist(captions, CAPTIONS), CLIP_PAIRS.empty_table()
    )


@pytest.fixture
def rated(tables: Tables) -> pa.Table:
    """What people say of a text that no caption has a word of: it fits red photos and no others."""
    photos = [photo for photo in tables.corpus.to_pylist() if photo["status"] == "ok"]
    rows = [
        {**photo, "query_id": "t", "text": "a warm picture", "relevance": float(n % 4 == 0), "weight": 1.0 + n % 2}
        for n, photo in enumerate(photos[:32])
    ]
    return pa.Table.from_pylist(rows, CLIP_PAIRS)


def backwards(table: pa.Table) -> pa.Table:
    return table.take(list(reversed(range(len(table)))))


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.mark.slow
def test_training_learns_and_what_it_writes_loads_by_open_clip(init: Path, tables: Tables, tmp_path: Path) -> None:
    import open_clip

    out = tmp_path / "clip"
    figures = obtain_clip(params(init), 0, tables, out)
    assert (figures["source"], figures["rating_loss"]) == ("train", None)
    assert (figures["n_photos"], figures["n_held_out"]) == (38, 2)
    model, transform = open_clip.create_model_from_pretrained(f"local-dir:{out}")
    assert model.visual.preprocess_cfg["mean"] == TINY["preprocess_cfg"]["mean"]
    assert model.visual.preprocess_cfg["resize_mode"] == "squash"
    photos = torch.stack([transform(Image.new("RGB", (18, 20), colour)) for colour in COLOURS.values()])
    texts = open_clip.get_tokenizer(f"local-dir:{out}")([f"a {colour} wall" for colour in COLOURS])
    with torch.inference_mode():
        scores = model.encode_image(photos, normalize=True) @ model.encode_text(texts, normalize=True).T
    assert scores.argmax(dim=1).tolist() == [0, 1, 2, 3]


@pytest.mark.slow
def test_training_learns_from_ratings_what_no_caption_says(
    init: Path, tables: Tables, rated: pa.Table, tmp_path: Path
) -> None:
    import open_clip

    asked = params(init).model_copy(update={"ratings": 0.5})
    figures = obtain_clip(asked, 0, replace(tables, rated=rated), tmp_path / "clip")
    assert figures["rating_loss"] < 0.3
    model, transform = open_clip.create_model_from_pretrained(f"local-dir:{tmp_path / 'clip'}")
    photos = torch.stack([transform(Image.new("RGB", (18, 20), colour)) for colour in COLOURS.values()])
    tokenizer = open_clip.get_tokenizer(f"local-dir:{tmp_path / 'clip'}")
    with torch.inference_mode():
        scores = (
            model.encode_image(photos, normalize=True)
            @ model.encode_text(
                tokenizer(["a warm picture", *(f"a {colour} wall" for colour in COLOURS)]), normalize=True
            ).T
        )
    assert (scores[0, 0] > scores[1:, 0] + 0.2).all(), "red is not warm"
    assert scores[:, 1:].argmax(dim=1).tolist() == [0, 1, 2, 3], "the captions were forgotten"


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_in_any_row_order(
    init: Path, tables: Tables, rated: pa.Table, tmp_path: Path
) -> None:
    turned = replace(tables, corpus=backwards(tables.corpus), rated=backwards(rated))
    tables = replace(tables, rated=rated)
    first = obtain_clip(params(init, epochs=3), 0, tables, tmp_path / "first")
    assert obtain_clip(params(init, epochs=3), 0, turned, tmp_path / "again") == first
    obtain_clip(params(init, epochs=3), 1, tables, tmp_path / "other")
    assert digests(tmp_path / "first") == digests(tmp_path / "again")
    assert digests(tmp_path / "first") != digests(tmp_path / "other")


@pytest.mark.slow
def test_training_goes_on_from_given_weights(init: Path, tables: Tables, tmp_path: Path) -> None:
    obtain_clip(params(init), 0, tables, tmp_path / "first")
    before = load_clip(f"local-dir:{tmp_path / 'first'}", None).state_dict()
    again = params(tmp_path / "first", epochs=1).model_copy(update={"learning_rate": 1e-9})
    obtain_clip(again, 0, tables, tmp_path / "again")
    after = load_clip(f"local-dir:{tmp_path / 'again'}", None).state_dict()
    for name, tensor in before.items():
        torch.testing.assert_close(after[name], tensor, msg=name, atol=1e-5, rtol=1e-4)


def test_a_local_clip_is_copied_without_its_permissions(init: Path, tables: Tables, tmp_path: Path) -> None:
    obtain_clip(params(init, epochs=1), 0, tables, tmp_path / "source")
    (tmp_path / "source").chmod(0o555)
    figures = obtain_clip(params(tmp_path / "source", "local"), 0, tables, tmp_path / "copy")
    assert figures == {"source": "local"}
    assert digests(tmp_path / "copy") == digests(tmp_path / "source")
    assert (tmp_path / "copy").stat().st_mode & 0o200


def test_a_local_clip_that_is_none_is_an_error(init: Path, tables: Tables, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="no weights"):
        obtain_clip(params(init, "local"), 0, tables, tmp_path / "out")
    (init / "open_clip_model.safetensors").write_bytes(b"hello")
    with pytest.raises(EncoderError, match="cannot be loaded"):
        obtain_clip(params(init, "local"), 0, tables, tmp_path / "out")
    with pytest.raises(EncoderError, match="no such file"):
        obtain_clip(params(tmp_path / "nowhere", "local"), 0, tables, tmp_path / "out")


def test_an_unknown_hub_model_is_an_error(init: Path, tables: Tables, tmp_path: Path) -> None:
    hub = params(init, "train").model_copy(update={"source": "hub", "model": "ViT-B-99", "pretrained": "openai"})
    with pytest.raises(EncoderError, match="knows no model"):
        obtain_clip(hub, 0, tables, tmp_path / "out")


def test_training_wants_captioned_photos(init: Path, tables: Tables, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ingest\.corpus"):
        obtain_clip(params(init), 0, replace(tables, captions=CAPTIONS.empty_table()), tmp_path / "out")
    with pytest.raises(InputError, match="3 captioned photos"):
        obtain_clip(params(init), 0, replace(tables, corpus=tables.corpus.slice(0, 2)), tmp_path / "out")


def test_training_leaves_torch_as_it_was(init: Path, tables: Tables, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    obtain_clip(params(init, epochs=1), 0, tables, tmp_path / "out")
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.slow
def test_the_copy_of_a_real_clip_gives_its_vectors(shared: Path, tmp_path: Path) -> None:
    source = shared / "encoders" / "clip-mobilenetv2-flickr8k"
    obtain_clip(params(source, "local"), 0, NOTHING, tmp_path / "clip")
    pixels = torch.from_numpy(np.random.default_rng(0).random((2, 3, 224, 224), dtype=np.float32))
    with torch.inference_mode():
        ours, theirs = (
            load_clip(f"local-dir:{folder}", None).encode_image(pixels) for folder in (tmp_path / "clip", source)
        )
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.slow
def test_to_lock_a_real_clip_leaves_its_vectors(shared: Path) -> None:
    source = shared / "encoders" / "clip-mobilenetv2-flickr8k"
    clip = load_clip(f"local-dir:{source}", None)
    pixels = torch.from_numpy(np.random.default_rng(0).random((2, 3, 224, 224), dtype=np.float32))
    with torch.inference_mode():
        before = clip.encode_image(pixels)
        lock_towers(clip, params(source).model_copy(update={"image_layers": 2, "text_layers": 0}))
        torch.testing.assert_close(clip.encode_image(pixels), before, rtol=0, atol=0)


@pytest.mark.slow
def test_locked_layers_of_a_real_clip_stay_as_they_are(shared: Path, tables: Tables, tmp_path: Path) -> None:
    source = shared / "encoders" / "clip-mobilenetv2-flickr8k"
    asked = params(source, epochs=1).model_copy(update={"image_layers": 2, "text_layers": 0})
    obtain_clip(asked, 0, tables, tmp_path / "tuned")
    before, after = (load_clip(f"local-dir:{folder}", None).state_dict() for folder in (source, tmp_path / "tuned"))
    moved = {name for name, tensor in before.items() if not torch.equal(after[name], tensor)}
    assert "visual.trunk.conv_head.weight" in moved
    assert "visual.head.proj.weight" in moved
    stay = ("visual.trunk.conv_stem", "visual.trunk.blocks.4", "transformer", "token_embedding")
    assert not [name for name in moved if name.startswith(stay) or "running_" in name]
