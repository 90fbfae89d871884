"""Encode the texts of queries with ONNX Runtime, so that a search does not import torch.

The text tower of a CLIP model is written once to the user's cache, and loaded from there until the files of the model
change.
"""

import hashlib
import importlib.util
import json
import logging
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock

from kadr.encoders.base import IDENTITY_NAME, Identity, PretrainedTextEncoder, to_unit_norm
from kadr.encoders.hub_models import find_hub_model
from kadr.encoders.open_clip_models import check_clip
from kadr.encoders.text_reading import ClipTokenReader
from kadr.encoders.torch_models import available_cores, torch_device
from kadr.encoders.weights import local_folder
from kadr.errors import EncoderError
from kadr.io.embeddings import Vectors
from kadr.params import Precision
from kadr.user_folders import user_folders

if TYPE_CHECKING:
    from kadr.encoders.open_clip import OpenClipParams, OpenClipTextEncoder

logger = logging.getLogger(__name__)

MIN_COSINE = 1 - 1e-5
"""Minimum cosine between a vector of the written text tower and the vector of torch in fp32."""

_PACKAGES = ("onnx", "onnxruntime", "tokenizers")
_TOWER_NAME, _TOKENIZER_NAME = "text_tower.onnx", "tokenizer.json"
_VERSION = 1  # of the written files
_CHECKED_TEXTS = [
    "a dog",
    "two children in red jackets run through the snow towards a house",
    "собака 🐕",
    "word " * 200,
]


class OnnxClipTextEncoder(PretrainedTextEncoder):
    """Text encoder that runs the text tower of a CLIP model with ONNX Runtime in fp32.

    Args:
        params: settings of the open_clip encoder.
        precision: ignored.

    Raises:
        EncoderError: `has_text_tower` has not written the text tower, or the written files are damaged.
    """

    def __init__(self, params: "OpenClipParams", precision: Precision = "fp32") -> None:
        from kadr.encoders.clip_tokenizer import ClipTokenizer

        folder = find_text_tower(params)
        if folder is None:
            raise EncoderError(f"{params.model}: its text tower is not in {_cache()}. Load the encoder with torch.")
        record = _read_record(folder)
        self._session = _load_session(folder / _TOWER_NAME)
        self._tokenize = ClipTokenizer(folder / _TOKENIZER_NAME, record["context_length"])
        self.identity, self.dim = Identity(**record["identity"]), record["dim"]
        self.declared_languages = params.languages
        self.token_reader = ClipTokenReader(self._tokenize)

    def transform(self, texts: Sequence[str]) -> Vectors:
        """Encode texts as unit vectors, (n_texts, d) float32."""
        if not texts:
            return np.empty((0, self.dim), dtype=np.float32)
        (features,) = self._session.run(None, {"tokens": self._tokenize(texts)})
        return to_unit_norm(features, self.identity.encoder)


def find_text_tower(params: "OpenClipParams") -> Path | None:
    """Return the folder of the written text tower of a model, or None if it is missing or the model has changed."""
    folder = _folder(params)
    try:
        files = _read_record(folder)["files"]
        return folder if files == _describe_files(files) else None
    except (OSError, ValueError, KeyError):
        return None


def has_text_tower(params: "OpenClipParams") -> bool:
    """Return whether `OnnxClipTextEncoder` can load a model. The first call writes its text tower to the user's cache.

    False if the extra `onnx` is not installed, if torch can use a GPU, if the architecture is not supported, if the
    files of the model are unknown, or if the user's cache is not writable.

    Raises:
        EncoderError: the model cannot be loaded.
    """
    if not all(importlib.util.find_spec(name) for name in _PACKAGES):
        return False
    return find_text_tower(params) is not None or _write_text_tower(params)


def _write_text_tower(params: "OpenClipParams") -> bool:
    """Write the text tower of a model. Return whether its vectors equal those of torch."""
    from kadr.encoders.clip_text_graph import has_plain_text_tower
    from kadr.encoders.open_clip import OpenClipTextEncoder, read_architecture

    check_clip(params.model, params.pretrained)
    files = _model_files(params)
    if not files or torch_device() != "cpu" or not has_plain_text_tower(read_architecture(params.model)):
        return False
    folder = _folder(params)
    logger.info("Preparing the text encoder of %s for fast searches. This happens only once.", params.model)
    encoder = OpenClipTextEncoder(params, "fp32")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")), TemporaryDirectory(dir=folder.parent) as name:
            _write_files(encoder, files, Path(name) / "tower")
            shutil.rmtree(folder, ignore_errors=True)
            (Path(name) / "tower").rename(folder)
    except OSError as error:
        logger.warning("%s: the text tower of %s cannot be written (%s).", folder, params.model, error)
        return False
    cosines = (OnnxClipTextEncoder(params).transform(_CHECKED_TEXTS) * encoder.transform(_CHECKED_TEXTS)).sum(axis=1)
    if cosines.min() >= MIN_COSINE:
        return True
    logger.warning("%s: ONNX Runtime and torch return different vectors (cosine %.5f).", params.model, cosines.min())
    shutil.rmtree(folder)
    return False


def _write_files(encoder: "OpenClipTextEncoder", files: Iterable[Path], folder: Path) -> None:
    """Write the graph, the tokenizer and the description of a text tower to a new folder."""
    import onnx

    from kadr.encoders.clip_text_graph import make_text_graph
    from kadr.encoders.clip_tokenizer import write_tokenizer

    model, tokenizer = encoder.model_and_tokenizer
    folder.mkdir()
    path = folder / _TOWER_NAME
    onnx.save_model(make_text_graph(model), path, save_as_external_data=True, location=f"{path.name}.data")
    write_tokenizer(tokenizer, folder / _TOKENIZER_NAME)
    record = {
        "identity": {name: value for name, value in encoder.identity.metadata.items() if name != "key"},
        "dim": encoder.dim,
        "context_length": tokenizer.context_length,
        "files": _describe_files(map(str, files)),
    }
    (folder / IDENTITY_NAME).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _load_session(path: Path) -> Any:
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf, NoSuchFile

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_cores()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave the cores to others
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except (Fail, InvalidGraph, InvalidProtobuf, NoSuchFile) as error:
        raise EncoderError(f"{path} is damaged ({error}). Delete the folder {path.parent}.") from error


def _cache() -> Path:
    return user_folders().cache / "text_towers"


def _folder(params: "OpenClipParams") -> Path:
    """Return the folder for the text tower of a model."""
    folder = local_folder(params.model)
    model = params.model if folder is None else str(Path(folder).resolve())
    return _cache() / hashlib.sha256(json.dumps([_VERSION, model, params.pretrained]).encode()).hexdigest()[:32]


def _read_record(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / IDENTITY_NAME).read_text(encoding="utf-8")))


def _model_files(params: "OpenClipParams") -> list[Path]:
    """Return the files of a model on this machine. The list is empty if they are unknown."""
    if (folder := local_folder(params.model)) is not None:
        path = Path(folder).resolve()
        return [path, *filter(Path.is_file, path.iterdir())]  # the folder changes when files are added
    hub_model = find_hub_model(params.model, params.pretrained)
    weights = hub_model.find_weights() if hub_model else None
    return [] if weights is None else [weights, *weights.parents[2].glob("refs/main")]


def _describe_files(paths: Iterable[str]) -> dict[str, list[int]]:
    """Return path -> inode, size and time of change. Raises OSError if a file is missing."""
    status = {path: Path(path).stat() for path in paths}
    return {path: [each.st_ino, each.st_size, each.st_mtime_ns] for path, each in status.items()}
