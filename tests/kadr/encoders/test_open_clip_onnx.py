"""CLIP text encoders that run in ONNX Runtime, compared with open_clip."""

import csv
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kadr.encoders import fit_text_encoder
from kadr.encoders.base import PretrainedTextEncoder
from kadr.encoders.clip_tokenizer import ClipTokenizer, write_tokenizer
from kadr.encoders.open_clip import OpenClipParams, OpenClipTextEncoder
from kadr.encoders.open_clip_onnx import OnnxClipTextEncoder, find_text_tower
from kadr.errors import EncoderError

pytestmark = pytest.mark.slow

MIN_COSINE = 1 - 1e-5
TEXTS = [
    "a dog in the snow",
    "Two  DOGS\nplay, don't they? It's 2023!",
    "собаки играют в снегу",
    "👨‍👩‍👧 🐕 🏔️",
    "caf&eacute; &amp;amp; cr&#232;me",
    "schÃ¶n ’quoted’ ﬁ",
    "İstanbul 'ſ ẞ ͅ",
    "<start_of_text> a dog <END_OF_TEXT> x",
    "word " * 200,
    "a" * 500,
    " ",
    "",
]


@pytest.fixture(scope="module")
def model(shared: Path) -> Path:
    return shared / "encoders" / "clip-mobilenetv2-flickr8k"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the home of the user whose cache contains the text tower."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def use_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KADR_HOME", str(home))


def params(folder: Path) -> OpenClipParams:
    return OpenClipParams(backend="open_clip", model=f"local-dir:{folder}", pretrained=None)


def copy_model(model: Path, folder: Path, **settings: object) -> Path:
    """Copy a model, and change settings of its architecture."""
    shutil.copytree(model, folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    config["model_cfg"].update(settings)
    path.write_text(json.dumps(config))
    return folder


def load(folder: Path) -> PretrainedTextEncoder:
    return OpenClipTextEncoder.load_for_queries(params(folder), "auto")


def cosines(folder: Path, texts: list[str]) -> np.ndarray:
    """Return the cosine between the vectors of ONNX Runtime and torch for each text."""
    encoder = load(folder)
    assert isinstance(encoder, OnnxClipTextEncoder)
    return (encoder.transform(texts) * fit_text_encoder(params(folder), "fp32", [], 0).transform(texts)).sum(axis=1)


def test_the_tokens_equal_those_of_open_clip(shared: Path, tmp_path: Path) -> None:
    import open_clip

    expected = open_clip.SimpleTokenizer(context_length=32)
    write_tokenizer(expected, tmp_path / "tokenizer.json")
    tokenizer = ClipTokenizer(tmp_path / "tokenizer.json", 32)
    with (shared / "flickr8k" / "corpus_captions.tsv").open(encoding="utf-8") as file:
        captions = [row[1] for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)][:1000]
    numbers = random.Random(0)
    characters = [chr(code) for code in range(0x20, 0x20000) if not 0xD800 <= code < 0xE000]
    alphabets = [characters, characters[:0x600]]
    random_texts = ["".join(numbers.choices(alphabet, k=30)) for alphabet in alphabets for _ in range(1000)]
    for text in [*TEXTS, *captions, *random_texts]:
        tokens = expected.encode(text)
        assert tokenizer.encode(text) == tokens, ascii(text)
        assert tokenizer.decode(tokens) == expected.decode(tokens)
    batch = tokenizer(TEXTS)
    assert batch.shape[1] == 32
    np.testing.assert_array_equal(batch, expected(TEXTS).numpy())


def test_vectors_equal_those_of_torch(model: Path) -> None:
    assert cosines(model, TEXTS).min() > MIN_COSINE
    assert cosines(model, TEXTS[:1]).min() > MIN_COSINE  # without padding
    assert load(model).transform([]).shape == (0, 256)


def test_the_encoder_describes_itself_as_the_encoder_of_torch(model: Path, tmp_path: Path) -> None:
    expected = fit_text_encoder(params(model), "fp32", [], 0)
    expected.save(tmp_path)
    encoder = OpenClipTextEncoder.load_for_queries(params(model), "auto", tmp_path)
    assert isinstance(encoder, OnnxClipTextEncoder)
    assert (encoder.identity, encoder.dim, encoder.languages) == (expected.identity, 256, frozenset({"en"}))
    text = "a snowbound zxqvzxqv " + "dog " * 40
    assert encoder.read_text(text) == expected.read_text(text)
    path = tmp_path / "encoder.json"
    path.write_text(path.read_text().replace(encoder.identity.weights_sha256, "0" * 64))
    with pytest.raises(EncoderError, match=r"weights_sha256 of .* has changed"):
        OpenClipTextEncoder.load_for_queries(params(model), "auto", tmp_path)


def test_a_query_in_a_new_process_does_not_import_torch(model: Path) -> None:
    load(model)
    code = f"""
import sys
from kadr.encoders.open_clip import OpenClipParams, OpenClipTextEncoder
params = OpenClipParams(backend="open_clip", model="local-dir:{model}", pretrained=None)
assert OpenClipTextEncoder.load_for_queries(params, "auto").transform(["a dog"]).shape == (1, 256)
assert not {{"torch", "open_clip", "transformers", "onnx"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_changed_model_is_written_again(model: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = copy_model(model, tmp_path / "model", quick_gelu=True)
    assert cosines(folder, TEXTS).min() > MIN_COSINE
    before = load(folder)
    weights = load_file(folder / "open_clip_model.safetensors")
    weights["positional_embedding"] = weights["positional_embedding"][::-1].copy()
    save_file(weights, folder / "open_clip_model.safetensors")
    assert find_text_tower(params(folder)) is None
    assert cosines(folder, TEXTS).min() > MIN_COSINE
    assert (load(folder).transform(TEXTS) * before.transform(TEXTS)).sum(axis=1).min() < 0.99
    (tower := find_text_tower(params(folder)) or folder).joinpath("text_tower.onnx").write_bytes(b"damaged")
    with pytest.raises(EncoderError, match=rf"is damaged.*Delete the folder {tower}"):
        load(folder)


@pytest.mark.parametrize("precision", ["bf16", "auto"])
def test_other_precisions_and_architectures_run_in_torch(model: Path, tmp_path: Path, precision: str) -> None:
    text = json.loads((model / "open_clip_config.json").read_text())["model_cfg"]["text_cfg"]
    changes = {"text_cfg": {**text, "no_causal_mask": True}} if precision == "auto" else {}
    folder = copy_model(model, tmp_path / "model", **changes)
    assert type(OpenClipTextEncoder.load_for_queries(params(folder), precision)) is OpenClipTextEncoder


def test_without_a_writable_cache_torch_encodes_the_queries(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("KADR_HOME", str(tmp_path / "file"))
    assert isinstance(load(model), OpenClipTextEncoder)
    assert "cannot be written" in caplog.text
