"""The library room's view of what a search and a scoring read: of the project as it is, or of its champion."""

from dataclasses import dataclass
from pathlib import Path

CHAMPION = Path("models/champion")
"""The link to the version in use, which `flows/refresh` publishes."""


@dataclass(frozen=True)
class Artifacts:
    """Where a search and a scoring find what they read.

    Attributes:
        index: folder of the index.
        text_encoders: folder of the text encoders, a folder for each.
        relevance: folder of the relevance model.
        clip: folder of the run's CLIP; the encoders in `params` name it where they use it.
        params: the settings' file.
    """

    index: Path
    text_encoders: Path
    relevance: Path
    clip: Path
    params: Path

    @classmethod
    def of_project(cls, models: Path = Path("models"), params: Path = Path("params.yaml")) -> "Artifacts":
        """Those that the stages wrote last."""
        return cls(models / "index", models / "text_encoders", models / "relevance", models / "clip", params)

    @classmethod
    def of_champion(cls, link: Path = CHAMPION) -> "Artifacts | None":
        """Those of one version of the champion; None where there is none.

        The link is followed once, so that all are of one version whatever is published meanwhile; its settings name
        its own CLIP.
        """
        version = link.resolve()
        whole = cls.of_project(version, version / "params.yaml")
        return whole if whole.params.is_file() and whole.relevance.is_dir() else None

    @classmethod
    def of_index(cls, index: Path) -> "Artifacts":
        """Those that belong to what is searched: a whole champion's, or the project's with this index."""
        if champion := cls.of_champion(index):
            return champion
        ours = cls.of_project()
        return cls(index, ours.text_encoders, ours.relevance, ours.clip, ours.params)
