"""The paths that belong to an address, and the rules that leave some of them out."""

from dataclasses import dataclass

from kadr.collection.exclusion import RootExclusion
from kadr.io.system_files import system_path_kind


@dataclass(frozen=True)
class Scope:
    """The paths that belong to an address.

    Attributes:
        root: absolute path or URI of the address, without a slash at the end.
        archive: end of the URIs of files in an archive, such as `::/home/me/photos.zip`, or an empty string.
        exclusion: patterns of files and folders that are not indexed.
    """

    root: str
    archive: str
    exclusion: RootExclusion

    def relative_path(self, path: str) -> str | None:
        """Return the path of a file relative to the address, or None if the file does not belong to the address."""
        if not path.endswith(self.archive):
            return None
        path = path.removesuffix(self.archive)
        if path == self.root:
            return ""
        return path.removeprefix(self.root).lstrip("/") if path.startswith(self.root + "/") else None

    def leaves_out(self, relative_path: str) -> bool:
        """Return whether a file is passed over because of its path, whether or not the file exists."""
        if not relative_path:
            return False
        is_system_file = system_path_kind(relative_path) is not None
        return is_system_file or self.exclusion.excludes(relative_path, count=False)
