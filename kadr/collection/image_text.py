"""Read the text that is visible in images by optical character recognition (OCR), with RapidOCR.

The texts are cached by the SHA-256 of the image files, so that each file is read once, also after an interruption.
"""

import hashlib
import importlib.util
import logging
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from kadr.collection.listing import is_local
from kadr.embed.reader import map_in_threads
from kadr.errors import InputError, KadrError
from kadr.io.bounded_decoding import FailedScan, scan_bounded
from kadr.io.image_decoding import DEFAULT_LIMITS, decode_image
from kadr.io.schemas import required, write_table
from kadr.io.storage import read_bytes
from kadr.io.texts import normalise_whitespace
from kadr.params import DecodingParams, OcrScript
from kadr.progress import progress

MAX_LENGTH = 5000
"""Maximum number of characters of the text of an image. Longer texts are cut."""

IMAGE_TEXTS = pa.schema(
    [
        required("sha256", pa.string()),
        pa.field("text", pa.string()),  # empty for an image without text, null if the image could not be read
    ]
)

_VERSION = "rapidocr-PP-OCRv6-960"  # models and settings. Other texts are in other folders of the cache
_BUNDLED: OcrScript = "latin"
_CHUNK_SIZE = 200  # number of texts per cache file; a killed process loses fewer texts than this
_MAX_FILES = 20  # the cache is rewritten as one file if it has more files
_IMAGE_SIDE = 1600  # longer side in pixels at which text is read
_DETECTION_SIDE = 960  # longer side in pixels at which text is detected
_MIN_CONFIDENCE = 0.6
_MIN_CHARACTERS = 2  # a single character is often a pattern that looks like one
_THREADS = 4  # number of threads that read remote files
_HAS_TEXT = re.compile(r"[^\W_].*[^\W_]", re.DOTALL)

_Item = tuple[str, str, bytes | None, OcrScript]  # path, SHA-256, content of a remote file, and script

logger = logging.getLogger(__name__)


def add_image_texts(
    images: pd.DataFrame, script: OcrScript | None, folder: Path, limits: DecodingParams = DEFAULT_LIMITS
) -> pd.DataFrame:
    """Return a table of images with the column image_text: the text that is visible in each image.

    The text of an image that cannot be read is null. Texts of the current index are kept for these images.

    Args:
        images: table with the columns path and sha256, and optionally image_text.
        script: script of the texts. None removes the texts.
        folder: folder that contains the cache.
        limits: limits on the pixels, the time and the memory of one image.
    """
    if script is None:
        return images.assign(image_text=None)
    texts = read_image_texts(images, script, folder, limits)
    found = pd.Series([texts[sha256] for sha256 in images["sha256"]], images.index, dtype=object)
    if "image_text" in images:
        found = found.where(found.notna(), images["image_text"])
    return images.assign(image_text=found)


def read_image_texts(
    images: pd.DataFrame, script: OcrScript, folder: Path, limits: DecodingParams = DEFAULT_LIMITS
) -> dict[str, str | None]:
    """Read the texts in images. Only images whose text is not in the cache are read.

    Args:
        images: table with the columns path and sha256.
        script: script of the texts.
        folder: folder that contains the cache.
        limits: limits on the pixels, the time and the memory of one image.

    Returns:
        SHA-256 -> text of all images. The text is None if an image has no text or could not be read.
    """
    texts = _TextCache(folder / "image_texts" / f"{_VERSION}-{script}")
    new = images[~images["sha256"].isin(texts.known)].drop_duplicates("sha256")
    if len(new):
        failures: Counter[str] = Counter()
        rows = list(zip(new["path"], new["sha256"], strict=True))
        with progress("read text in images", len(rows)) as advance:
            results = _read_texts(rows, script, limits, failures)
            while chunk := list(islice(results, _CHUNK_SIZE)):
                texts.append(chunk)
                advance(len(chunk))
        if failures:
            reasons = ", ".join(f"{n} {status}" for status, n in sorted(failures.items()))
            logger.warning("The text in %d images could not be read (%s).", failures.total(), reasons)
    texts.compact()
    return {sha256: texts.known.get(sha256) or None for sha256 in images["sha256"]}


class _TextCache:
    """Texts by the SHA-256 of the image files, in a folder of Parquet files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.known: dict[str, str | None] = {}
        for path in self._files():
            try:
                table = pq.read_table(path, schema=IMAGE_TEXTS)
            except (OSError, pa.ArrowException):
                path.unlink()  # the file is incomplete, so its images are read again
            else:
                self.known.update(zip(*(table[name].to_pylist() for name in IMAGE_TEXTS.names), strict=True))

    def append(self, texts: Iterable[tuple[str, str | None]]) -> None:
        """Save texts in a new file."""
        new = dict(texts)
        self._write(self._folder / f"{self._next_number():06d}.parquet", new)
        self.known |= new

    def compact(self) -> None:
        """Rewrite many files as one file."""
        files = self._files()
        if len(files) > _MAX_FILES:
            self._write(self._folder / f"{self._next_number():06d}.parquet", self.known)
            for path in files:
                path.unlink()

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.parquet"))

    def _next_number(self) -> int:
        return 1 + max((int(path.stem) for path in self._files()), default=0)

    def _write(self, path: Path, texts: dict[str, str | None]) -> None:
        table = pa.table({"sha256": list(texts), "text": pa.array(texts.values(), pa.string())})
        write_table(table, path, IMAGE_TEXTS)


def _read_texts(
    rows: Iterable[tuple[str, str]], script: OcrScript, limits: DecodingParams, failures: "Counter[str]"
) -> Iterator[tuple[str, str | None]]:
    """Yield the SHA-256 and the text of each image, and count the failures by reason.

    An image that cannot be decoded, or exceeds a limit, is not read again by later updates. A file that is missing or
    has changed is read again, so it is left out.
    """
    waiting: deque[str] = deque()
    items = _read_remote(rows, script, waiting)
    for result in scan_bounded(_read_item, items, limits):
        sha256 = waiting.popleft()
        if isinstance(result, FailedScan):
            failures[result.status] += 1
            yield sha256, None
        elif result is None:
            failures["changed"] += 1
        else:
            yield sha256, result


def _read_remote(rows: Iterable[tuple[str, str]], script: OcrScript, waiting: deque[str]) -> Iterator[_Item]:
    """Yield the images for the worker processes, with the content of remote files. Append each SHA-256 to `waiting`."""

    def read(row: tuple[str, str]) -> _Item:
        path, sha256 = row
        try:
            return path, sha256, None if is_local(path) else read_bytes(path), script
        except OSError:
            return path, sha256, b"", script

    for item in map_in_threads(read, rows, _THREADS, 2 * _THREADS):
        waiting.append(item[1])
        yield item


def _read_item(item: _Item, limits: DecodingParams) -> str | None:
    """Return the text in one image, or None if the file is missing or has changed. Runs in a worker process."""
    path, sha256, content, script = item
    if content is None:
        try:
            content = Path(path).read_bytes()
        except OSError:
            return None
    if hashlib.sha256(content).hexdigest() != sha256:
        return None
    try:
        image = decode_image(content, path, _IMAGE_SIDE // 2, limits=limits)
    except KadrError:
        return ""
    image.thumbnail((_IMAGE_SIDE, _IMAGE_SIDE))
    return _recognise(image, script)


def _recognise(image: Image.Image, script: OcrScript) -> str:
    """Return the lines of text in an RGB image, from top to bottom, separated by line breaks."""
    result = _load_engine(script)(np.ascontiguousarray(np.asarray(image)[:, :, ::-1]))
    lines = [
        normalise_whitespace(line)
        for line, confidence in zip(result.txts or (), result.scores or (), strict=True)
        if confidence >= _MIN_CONFIDENCE
    ]
    return "\n".join(line for line in lines if _HAS_TEXT.search(line))[:MAX_LENGTH]


@cache
def _load_engine(script: OcrScript) -> Any:
    """Load RapidOCR with one thread, because each CPU core has a worker process."""
    from rapidocr import LangRec, ModelType, OCRVersion, RapidOCR

    params: dict[str, object] = {
        "Global.log_level": "critical",
        "Global.use_cls": False,  # upside-down lines of text
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "Det.limit_type": "max",
        "Det.limit_side_len": _DETECTION_SIDE,
    }
    if script != _BUNDLED:
        params |= {
            "Rec.lang_type": LangRec(script),
            "Rec.ocr_version": OCRVersion.PPOCRV5,
            "Rec.model_type": ModelType.MOBILE,
        }
    return RapidOCR(params=params)


def check_ocr(script: OcrScript | None) -> None:
    """Check that the text in images can be read, and download the model of a script on its first use.

    Raises:
        InputError: the extra `ocr` is not installed, or the model cannot be loaded or downloaded.
    """
    if script is None:
        return
    if importlib.util.find_spec("rapidocr") is None or importlib.util.find_spec("onnxruntime") is None:
        raise InputError(
            "Reading text in images requires rapidocr and onnxruntime, which are not installed. Install them: pip "
            "install 'kadr[ocr]'"
        )
    if script == _BUNDLED:
        return
    blank_line = np.full((48, 320, 3), 255, dtype=np.uint8)
    try:
        _load_engine(script)(blank_line, use_det=False, use_cls=False)
    except Exception as error:  # RapidOCR raises its own types of exceptions for the network and the file
        raise InputError(
            f"The OCR model {script!r} cannot be loaded ({error}). It is downloaded on first use. Connect to the "
            f"internet, or use --ocr {_BUNDLED}, whose model is in the package."
        ) from error
