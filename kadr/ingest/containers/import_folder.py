"""The unfinished output folder of a dataset import, which allows an interrupted import to resume."""

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kadr.ingest.containers.container import SetAside
from kadr.io.storage import write_atomically

IMAGES = "images"
_STATE, _PARTS = "source.json", "parts"


@dataclass(frozen=True)
class ImportedRow:
    """One caption of an image.

    Attributes:
        image: name of the image.
        caption: text of the caption.
        ratings: cells of the columns rating, rater and time.
    """

    image: str
    caption: str
    ratings: dict[str, str]


@dataclass
class PartRecord:
    """What was imported from one part of a dataset.

    Attributes:
        images: SHA-256 of each image, by name.
        rows: captions of the images.
        set_aside: everything that was not imported.
    """

    images: dict[str, str] = field(default_factory=dict)
    rows: list[ImportedRow] = field(default_factory=list)
    set_aside: list[SetAside] = field(default_factory=list)


class ImportFolder:
    """Hidden folder beside the output folder, to which the images and a record of each finished part are written.

    Args:
        out: output folder.
        source: description of the dataset. If the folder was started for another dataset, it is emptied.
    """

    def __init__(self, out: Path, source: dict[str, Any]) -> None:
        self.path = out.with_name(f".{out.name}.partial")
        state = self.path / _STATE
        content = json.dumps(source, sort_keys=True)
        if self.path.is_dir() and (not state.is_file() or state.read_text(encoding="utf-8") != content):
            shutil.rmtree(self.path)
        (self.path / _PARTS).mkdir(parents=True, exist_ok=True)
        with write_atomically(state) as partial:
            partial.write_text(content, encoding="utf-8")

    def read_record(self, part: str) -> PartRecord | None:
        """Return the record of a finished part, or None if the part is not finished."""
        path = self._record_path(part)
        if not path.is_file():
            return None
        record = json.loads(path.read_text(encoding="utf-8"))
        return PartRecord(
            images=record["images"],
            rows=[ImportedRow(**row) for row in record["rows"]],
            set_aside=[SetAside(**entry) for entry in record["set_aside"]],
        )

    def write_record(self, part: str, record: PartRecord) -> None:
        """Store the record of a part whose images are all written."""
        with write_atomically(self._record_path(part)) as partial:
            partial.write_text(json.dumps(asdict(record)), encoding="utf-8")

    def write_image(self, name: str, content: bytes) -> Path:
        """Write an image atomically and return its path."""
        path = self.image_path(name)
        with write_atomically(path) as partial:
            partial.write_bytes(content)
        return path

    def image_path(self, name: str) -> Path:
        """Return the path of an image."""
        return self.path / IMAGES / name

    def publish(self, out: Path) -> None:
        """Replace the output folder with this folder, without the records."""
        shutil.rmtree(self.path / _PARTS)
        (self.path / _STATE).unlink()
        if out.exists():
            shutil.rmtree(out)
        self.path.rename(out)

    def _record_path(self, part: str) -> Path:
        return self.path / _PARTS / f"{hashlib.sha256(part.encode(errors='surrogateescape')).hexdigest()[:24]}.json"
