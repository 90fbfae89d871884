"""Import one part of a dataset, such as a shard: write its images, and record its captions."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from kadr.ingest.containers.container import Container, Sample, SetAside
from kadr.ingest.containers.import_folder import IMAGES, ImportedRow, ImportFolder, PartRecord
from kadr.ingest.containers.megabyte_progress import MEGABYTE
from kadr.ingest.containers.safe_names import name_problem
from kadr.ingest.image_checks import check_images, unchecked_images
from kadr.io.texts import normalise_whitespace
from kadr.params import DecodingParams


class PartImport:
    """Import one part of a dataset.

    Args:
        folder: folder to which the images are written.
        taken: SHA-256 of each image of the earlier parts, by name.
        names: name of each image of the earlier parts, by SHA-256.
        limits: settings of the image decoder.
    """

    def __init__(
        self, folder: ImportFolder, taken: Mapping[str, str], names: Mapping[str, str], limits: DecodingParams
    ) -> None:
        self._folder = folder
        self._taken = taken
        self._names = names
        self._part_names: dict[str, str] = {}
        self._limits = limits
        self._record = PartRecord()
        self._places: dict[str, str] = {}

    def run(self, container: Container, source: Path, part: str, on_bytes: Callable[[int], None]) -> PartRecord:
        """Write the images of the part, and set aside the images that cannot be decoded.

        Args:
            container: kind of the dataset.
            source: file or folder of the dataset.
            part: name of the part.
            on_bytes: function that is called with the size of each image.
        """
        for sample in container.read(source, part, int(self._limits.max_megabytes * MEGABYTE)):
            if isinstance(sample, SetAside):
                self._record.set_aside.append(sample)
            else:
                self._add(sample)
                on_bytes(len(sample.content or b""))
        self._remove_broken_images()
        return self._record

    def _add(self, sample: Sample) -> None:
        """Write one image, and add its captions."""
        name = self._write(sample)
        if name is None:
            return
        captions = [text for text in map(normalise_whitespace, sample.captions) if text]
        if not captions and any(normalise_whitespace(value) for value in sample.ratings.values()):
            self._record.set_aside.append(SetAside(sample.place, "rating_without_text"))
        self._record.rows += [ImportedRow(name, text, sample.ratings) for text in dict.fromkeys(captions)]

    def _write(self, sample: Sample) -> str | None:
        """Write the image of a sample and return its name. Return None if the image is set aside."""
        name = sample.name.removeprefix("./")
        if problem := name_problem(name):
            self._record.set_aside.append(SetAside(sample.place, "unsafe_name", problem))
            return None
        if sample.content is None:
            return name if name in self._record.images or name in self._taken else None
        digest = hashlib.sha256(sample.content).hexdigest()
        known = self._record.images.get(name) or self._taken.get(name)
        if sample.other_name and (known not in (None, digest) or name == sample.other_name):
            # rows with the same image and different captions share the file
            name = self._part_names.get(digest) or self._names.get(digest) or sample.other_name
            known = self._record.images.get(name) or self._taken.get(name)
        if known not in (None, digest):
            self._record.set_aside.append(SetAside(sample.place, "name_taken", f"another image has the name {name}"))
            return None
        if known is None:
            self._folder.write_image(name, sample.content)
            self._record.images[name] = digest
            self._part_names.setdefault(digest, name)
            self._places[name] = sample.place
        return name

    def _remove_broken_images(self) -> None:
        """Decode the new images of the part. Delete images that cannot be decoded, and set them aside."""
        folder = self._folder.path
        images = check_images(unchecked_images(str(folder), IMAGES, "corpus", self._places), self._limits)
        broken = {image.image_id: image.status for image in images if image.status != "ok"}
        for name, status in broken.items():
            self._folder.image_path(name).unlink()
            del self._record.images[name]
            self._record.set_aside.append(SetAside(self._places[name], status))
        self._record.rows = [row for row in self._record.rows if row.image not in broken]
