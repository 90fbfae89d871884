"""Decode a text table, whose encoding is UTF-8, declared, or detected from its words."""

import codecs
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from kadr.errors import InputError
from kadr.ingest.table_files.encoding_detection import EncodingCandidate, choose_encoding, rank_encodings

logger = logging.getLogger(__name__)

UTF8 = "utf-8"
_BOMS = {
    codecs.BOM_UTF8: UTF8,
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_FILE_KINDS = {
    b"PK\x03\x04": "an Excel file or a zip archive (.xlsx, .ods or .zip)",
    b"\xd0\xcf\x11\xe0": "an Excel file (.xls)",
    b"\x1f\x8b": "a gzip file (.gz)",
    b"PAR1": "a Parquet file (.parquet)",
    b"%PDF": "a PDF document",
}
_END_OF_FILE = b"\x1a"  # written by old programs
_CHARACTER = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_MIXED_CHARACTERS = 4
_declared: ContextVar[str | None] = ContextVar("declared encoding of text tables", default=None)


@contextmanager
def declare_encoding(encoding: str | None) -> Iterator[None]:
    """Set the encoding of the text tables that are not in UTF-8 and are read in the `with` block. None detects it."""
    token = _declared.set(encoding)
    try:
        yield
    finally:
        _declared.reset(token)


def decode_text(path: Path, content: bytes) -> bytes:
    """Return the content of a text table in UTF-8. Log the encoding of a file that is not in UTF-8.

    Lines that end with a carriage return alone get a line feed in its place.

    Raises:
        InputError: the encoding is unknown.
    """
    encoding, reason = detect_encoding(path, content)
    if encoding != UTF8:
        logger.warning("%s is not in UTF-8 and was read as %s (%s). Check the texts.", path, encoding, reason)
        content = content.decode(encoding).encode()
    if b"\n" not in content:
        content = content.replace(b"\r", b"\n")
    return content.removesuffix(_END_OF_FILE)


def detect_encoding(path: Path, content: bytes) -> tuple[str, str]:
    """Detect the encoding of a text table.

    Args:
        path: path of the file, for error messages.
        content: bytes of the file.

    Returns:
        Name of the encoding, and the reason for the choice.

    Raises:
        InputError: the encoding is unknown, there is too little evidence for it, or the file is damaged.
    """
    kind = next((kind for start, kind in _FILE_KINDS.items() if content.startswith(start)), None)
    if kind is not None:
        raise InputError(
            f"{path}: the file is no text table. Its content is that of {kind}. Correct the suffix of the "
            "file, or save the table as CSV in UTF-8."
        )
    bom = next((bom for bom in _BOMS if content.startswith(bom)), None)
    if bom not in (None, codecs.BOM_UTF8):
        _require_decodable(path, content, _BOMS[bom])
        return _BOMS[bom], "it begins with a byte order mark"
    if b"\0" in content:
        return _detect_utf16(path, content), "every other byte is zero"
    try:
        content.decode(UTF8)
    except UnicodeDecodeError as error:
        declared = _declared.get()
        if declared is not None:
            _require_decodable(path, content, declared)
            return declared, "ingest.encoding"
        chosen = _choose_8_bit_encoding(path, content, error.start)
        return chosen.encoding, f"its {chosen.n_words} words with other letters look like words in this encoding"
    return UTF8, "it is valid UTF-8"


def _detect_utf16(path: Path, content: bytes) -> str:
    """Return the byte order of a file in UTF-16 without a byte order mark."""
    n_characters = len(content) // 2
    for encoding, zeros in (("utf-16-le", content[1::2].count(0)), ("utf-16-be", content[0::2].count(0))):
        if zeros > n_characters / 10 and content.count(0) < zeros * 1.05:
            _require_decodable(path, content, encoding)
            return encoding
    position = content.index(0)
    raise InputError(
        f"{path}, line {_line(content, position)}: the line contains a zero byte. Expected text in UTF-8. The "
        "file is damaged or is no text table. Save the table again."
    )


def _choose_8_bit_encoding(path: Path, content: bytes, position: int) -> EncodingCandidate:
    """Return the encoding of a file that is not in UTF-8, or raise InputError.

    Args:
        path: path of the file.
        content: bytes of the file.
        position: position of the first byte that is not UTF-8.
    """
    n_in_characters = sum(map(len, _CHARACTER.findall(content)))
    n_others = sum(content.count(byte) for byte in range(0x80, 0x100)) - n_in_characters
    first_bytes = content[position : position + 4].hex(" ")
    place = f"{path}, line {_line(content, position)}: the bytes {first_bytes} are not UTF-8"
    if n_in_characters >= n_others:
        raise InputError(
            f"{place}, although most other letters are. Expected text in UTF-8. The line is damaged, or the file was "
            "joined from files in different encodings. Correct the line, and save the file as UTF-8. If the whole file "
            "has another encoding, set ingest.encoding."
        )
    other_line = _find_utf8_line(content)
    if other_line:
        raise InputError(
            f"{place}, but line {other_line} is. Expected one encoding in the whole file. Save all parts of the "
            "file as UTF-8."
        )
    candidates = _rank(path, content)
    chosen = choose_encoding(candidates)
    if chosen is None:
        names = " or ".join(candidate.encoding for candidate in candidates[:2])
        likely = f"The encoding is probably {names}, but there is too little text" if names else "No encoding fits"
        example = candidates[0].encoding if candidates else "cp1252"
        raise InputError(
            f"{place}. {likely}. Expected text in UTF-8. Save the file as UTF-8, or set ingest.encoding, e.g. to "
            f"{example}."
        )
    return chosen


def _rank(path: Path, content: bytes) -> list[EncodingCandidate]:
    try:
        return rank_encodings(content)
    except ModuleNotFoundError as error:
        raise InputError(
            f"{path}: the file is not in UTF-8, and detecting its encoding requires the package {error.name}. "
            "Save the file as UTF-8, or install the package: pip install 'kadr[pipeline]'."
        ) from error


def _find_utf8_line(content: bytes) -> int | None:
    """Return the number of the first line whose letters outside ASCII are clearly in UTF-8, or None."""
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.isascii() and len(_CHARACTER.findall(line)) >= _MIXED_CHARACTERS:
            try:
                line.decode(UTF8)
            except UnicodeDecodeError:
                continue
            return number
    return None


def _require_decodable(path: Path, content: bytes, encoding: str) -> None:
    try:
        content.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}, line {_line(content, error.start)}: the bytes "
            f"{content[error.start : error.start + 4].hex(' ')} are not {encoding}. Save the file as UTF-8, or "
            "correct ingest.encoding."
        ) from error


def _line(content: bytes, position: int) -> int:
    return content.count(b"\n", 0, position) + 1
