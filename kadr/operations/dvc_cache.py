"""Find old versions of files in the DVC cache."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dvc.repo import Repo


def cached_file(repo: "Repo", md5: str) -> Path | None:
    """Return the path of a file in the DVC cache, or None if the cache does not contain the file."""
    path = Path(repo.cache.local.oid_to_path(md5))
    return path if path.is_file() else None
