"""Forms of file names in which a name in a table can equal the name of a file, from strict to loose."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from kadr.io.invisible_characters import INVISIBLE_PATTERN, remove_invisible

_SUFFIX = re.compile(
    r"\.(jpe?g|jpe|jfif|png|apng|webp|gif|bmp|dib|tiff?|avif|hei[cf]|hif|jxl|jp2|j2k|jpx"
    r"|dng|cr2|cr3|nef|arw|raf|orf|rw2|pef|srw)$"
)
_INVISIBLE = re.compile(INVISIBLE_PATTERN)
_NUMBER = re.compile(r"([0-9]+)(\.0+)?")
_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-(?=.)")
_NOT_IN_UPLOADS = re.compile(r"[^-\w.]")


@dataclass(frozen=True)
class NameForm:
    """A form of file names without one difference.

    Attributes:
        kind: name of the difference.
        difference: clause that describes the difference, for log messages.
        of_name: function that converts a file name in a table to this form.
        of_file: function that converts the name of a file to this form.
    """

    kind: str
    difference: str
    of_name: Callable[[str], str]
    of_file: Callable[[str], str]


def normalise_name(name: str) -> str:
    r"""Return a name in the Unicode form NFKC, without invisible characters and with single plain spaces.

    The same name is stored in different forms: macOS decomposes letters (NFD), and its screenshots have a narrow
    no-break space in their names.

    >>> normalise_name("cafe\u0301\u202f1.jpg")
    'café 1.jpg'
    """
    if name.isascii() and name.isprintable() and "  " not in name and name == name.strip():
        return name
    return " ".join(unicodedata.normalize("NFKC", _INVISIBLE.sub("", remove_invisible(name))).split())


def fold_case(name: str) -> str:
    """Return a normalised name without the difference between upper and lower case."""
    return normalise_name(name).casefold()


def split_suffix(name: str) -> tuple[str, str]:
    """Split a name into its stem and the suffix of an image file, both without case. The suffix can be "".

    >>> split_suffix("Beach.JPEG"), split_suffix("beach.v2")
    (('beach', '.jpeg'), ('beach.v2', ''))
    """
    folded = fold_case(name)
    found = _SUFFIX.search(folded)
    return (folded[: found.start()], found[0]) if found and found.start() else (folded, "")


def remove_suffix(name: str) -> str:
    """Return a name without case and without the suffixes of image files.

    >>> remove_suffix("Beach.jpg.JPG")
    'beach'
    """
    stem, suffix = split_suffix(name)
    return remove_suffix(stem) if suffix else stem


def remove_zeros(name: str) -> str:
    """Return the name without leading zeros if its stem is a number. Spreadsheets also append decimals.

    >>> remove_zeros("000042.jpg"), remove_zeros("42"), remove_zeros("42.0"), remove_zeros("b042.jpg")
    ('42', '42', '42', 'b042')
    """
    stem = remove_suffix(name)
    number = _NUMBER.fullmatch(stem)
    return (number[1].lstrip("0") or "0") if number else stem


def _uploaded_name(name: str) -> str:
    """Return the name that a file has in Label Studio, without the prefix."""
    return _NOT_IN_UPLOADS.sub("", normalise_name(name).replace(" ", "_"))


def _remove_upload_prefix(name: str) -> str:
    return _uploaded_name(_UPLOAD_PREFIX.sub("", name)) if _UPLOAD_PREFIX.match(name) else "/"  # equals no file name


FORMS = (
    NameForm("unicode_form", "the Unicode form, spaces or invisible characters differ", normalise_name, normalise_name),
    NameForm("case", "upper and lower case differ", fold_case, fold_case),
    NameForm("extension", "the extension is missing or differs", remove_suffix, remove_suffix),
    NameForm("leading_zeros", "the leading zeros differ", remove_zeros, remove_zeros),
    NameForm("upload_prefix", "Label Studio added a prefix", _remove_upload_prefix, _uploaded_name),
)
"""All forms, from strict to loose."""
