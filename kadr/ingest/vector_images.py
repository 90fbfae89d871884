"""Images that exist only as vectors: their IDs come from the files of the vectors instead of an image folder."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kadr.ingest.image_checks import ImageFile
from kadr.ingest.image_names import NameMatches, resolve_names
from kadr.io.vector_files import list_vector_images

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class VectorImages:
    """The images in the files of vectors.

    Attributes:
        paths: image ID -> path or URI of the image as in the files. The file itself is not needed.
        used: images that are already in the dataset, by image ID.
    """

    paths: Mapping[str, str] = field(default_factory=dict)
    used: dict[str, ImageFile] = field(default_factory=dict)

    @classmethod
    def read(cls, path: str | None) -> "VectorImages":
        """List the images in the files of vectors. Without files, there are no images.

        Raises:
            InputError: the files cannot be read.
        """
        if path is None:
            return cls()
        images = list_vector_images(Path(path).expanduser())
        logger.info("%s: vectors of %d images", path, len(images))
        return cls(dict(zip(*images.to_pydict().values(), strict=True)))

    def resolve(self, names: Collection[str], split: str, matches: NameMatches) -> NameMatches:
        """Find the images of the names in a table that have no file, and add them to `used`.

        Args:
            names: names without a file.
            split: split of the table.
            matches: matches of the names in the table with files.

        Returns:
            The matches with files and vectors.
        """
        if not self.paths or not names:
            return matches
        found = resolve_names(names, self.paths)
        self._add(sorted(set(found.files.values())), split)
        ambiguous = {name: reason for name, reason in matches.ambiguous.items() if name not in found.files}
        return NameMatches(matches.files | found.files, matches.kinds | found.kinds, ambiguous | found.ambiguous)

    def add_others(self, images: Sequence[ImageFile], split: str) -> list[ImageFile]:
        """Return the images that no table mentions, and that have no file.

        Args:
            images: images that are already in the dataset.
            split: split of the new images.
        """
        if not self.paths:
            return []
        with_file = {image.image_id for image in images} - self.used.keys()
        matched = resolve_names(self.paths.keys() - with_file, with_file).files if with_file else {}
        return self._add(sorted(self.paths.keys() - with_file - matched.keys()), split)

    def _add(self, image_ids: Sequence[str], split: str) -> list[ImageFile]:
        new = {id_: ImageFile(id_, self.paths[id_], split, status="ok") for id_ in image_ids if id_ not in self.used}
        self.used.update(new)
        return list(new.values())
