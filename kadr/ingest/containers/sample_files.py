"""Combine the files of one sample: images, and captions in .txt and .json files with the same key."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from kadr.ingest.containers.container import Sample, SetAside
from kadr.ingest.containers.image_suffix import image_suffix
from kadr.ingest.containers.sample_columns import find_text_columns
from kadr.io.image_formats import IMAGE_SUFFIXES

TEXT_SUFFIXES = (".txt", ".text", ".caption", ".json")
MAX_TEXT_BYTES = 10_000_000


def sample_key(name: str) -> str:
    """Return the key of a file in a sample: its path without suffixes.

    >>> sample_key("train/000.jpg"), sample_key("./a.b.txt"), sample_key("./")
    ('train/000', 'a', '')
    """
    *folders, base = [part for part in name.split("/") if part not in ("", ".")] or [""]
    return "/".join([*folders, base.split(".", 1)[0] or base])


def is_sample_file(name: str) -> bool:
    """Return whether a file can belong to a sample: an image, a text or a JSON file."""
    return name.lower().endswith((*IMAGE_SUFFIXES, *TEXT_SUFFIXES))


@dataclass
class SampleFiles:
    """The files of one sample.

    Attributes:
        container: name of the container, for messages.
        images: content of each image by name.
        captions: captions of the sample.
        ratings: cells of the columns rating, rater and time.
        set_aside: files that cannot be read.
    """

    container: str
    images: dict[str, bytes] = field(default_factory=dict)
    captions: list[str] = field(default_factory=list)
    ratings: dict[str, str] = field(default_factory=dict)
    set_aside: list[SetAside] = field(default_factory=list)

    def add(self, name: str, content: bytes) -> None:
        """Add a file. Set the file aside if its content does not fit its suffix."""
        suffix = PurePosixPath(name).suffix.lower()
        place = f"{self.container}: {name}" if self.container else name
        if suffix in TEXT_SUFFIXES:
            self._add_text(place, suffix, content)
        elif not content:
            self.set_aside.append(SetAside(place, "empty_file"))
        elif not image_suffix(content):
            self.set_aside.append(SetAside(place, "not_an_image"))
        else:
            self.images[name] = content

    def samples(self) -> Iterator[Sample | SetAside]:
        """Yield a sample for each image, and the files that are set aside."""
        yield from self.set_aside
        for name, content in self.images.items():
            place = f"{self.container}: {name}" if self.container else name
            yield Sample(place, name, content, tuple(self.captions), self.ratings)

    def _add_text(self, place: str, suffix: str, content: bytes) -> None:
        try:
            text = content.decode("utf-8-sig")
            captions, ratings = _read_json(json.loads(text)) if suffix == ".json" else ([text], {})
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            self.set_aside.append(SetAside(place, "text_damaged", str(error)))
            return
        known = {" ".join(caption.split()) for caption in self.captions}
        self.captions += [caption for caption in captions if " ".join(caption.split()) not in known]
        self.ratings |= ratings


def _read_json(document: Any) -> tuple[list[str], dict[str, str]]:
    """Return the captions and ratings in the metadata of a sample."""
    if not isinstance(document, dict):
        return [], {}
    texts = [key for key, value in document.items() if _is_text(value)]
    columns = find_text_columns(list(document), texts)
    return list(columns.captions_of(document)), columns.ratings_of(document)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))
