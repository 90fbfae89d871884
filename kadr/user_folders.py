"""The user's folders, in which kadr keeps its settings, index and caches outside of a project folder."""

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

HOME_VARIABLE = "KADR_HOME"
"""Environment variable that names one folder for everything that kadr keeps for the user."""

CACHE_VARIABLE = "KADR_CACHE"
"""Environment variable that names the folder or URI of the embedding cache."""


@dataclass(frozen=True)
class UserFolders:
    """The folders of the user.

    Attributes:
        config: folder of the optional settings file.
        data: folder of the index, the ratings and the favourites.
        cache: folder of everything that kadr can compute or download again.
        models: folder of downloaded models, or None for the cache of the Hugging Face hub.
    """

    config: Path
    data: Path
    cache: Path
    models: Path | None = None

    @property
    def settings(self) -> Path:
        """Path of the optional settings file."""
        return self.config / "config.yaml"

    @property
    def index(self) -> Path:
        """Link to the current version of the index that `kadr index` writes outside of a project."""
        return self.data / "index"

    @property
    def embeddings(self) -> str:
        """Folder or URI of the embedding cache: $KADR_CACHE if set."""
        return os.environ.get(CACHE_VARIABLE) or str(self.cache)


def user_folders() -> UserFolders:
    """Return the user's folders: the folders of the operating system, or subfolders of $KADR_HOME if set."""
    if home := os.environ.get(HOME_VARIABLE):
        root = Path(home).expanduser().absolute()
        return UserFolders(root, root / "data", root / "cache", root / "cache" / "models")
    config, data, cache = (
        function("kadr", appauthor=False)
        for function in (platformdirs.user_config_path, platformdirs.user_data_path, platformdirs.user_cache_path)
    )
    return UserFolders(config, data, cache)
