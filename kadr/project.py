"""The files of a project folder: every path that a stage, an operation, the server or the command line uses."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Project:
    """The layout of one project folder, as dvc.yaml declares it.

    Attributes:
        root: the project folder. The default is the working directory, so that paths are relative, as in dvc.yaml.
    """

    root: Path = Path()

    # Settings

    @property
    def params(self) -> Path:
        """Every setting, in one file."""
        return self.root / "params.yaml"

    @property
    def presets(self) -> Path:
        """Folder of `<preset>.yaml`."""
        return self.root / "presets"

    @property
    def expectations(self) -> Path:
        """Folder of the Great Expectations suites, `<table>.json`."""
        return self.root / "expectations"

    # Input

    @property
    def raw(self) -> Path:
        """Folder of raw datasets, one folder each."""
        return self.root / "data/raw"

    # Tables

    @property
    def images(self) -> Path:
        """Table of the rated and the searchable images (splits train and test)."""
        return self.root / "data/tables/images.parquet"

    @property
    def corpus(self) -> Path:
        """Table of the captioned, unrated images (split corpus)."""
        return self.root / "data/tables/corpus.parquet"

    @property
    def queries(self) -> Path:
        """Table of the queries."""
        return self.root / "data/tables/queries.parquet"

    @property
    def captions(self) -> Path:
        """Table of the captions of the corpus images."""
        return self.root / "data/tables/captions.parquet"

    @property
    def ratings(self) -> Path:
        """Table of the ratings, one row per rating."""
        return self.root / "data/tables/ratings.parquet"

    @property
    def quarantine(self) -> Path:
        """Table of the rows and images that ingest set aside, with the reason."""
        return self.root / "data/tables/quarantine.parquet"

    @property
    def leaks(self) -> Path:
        """Table of near-duplicate images and equal texts that occur in two splits."""
        return self.root / "data/tables/leaks.parquet"

    @property
    def relevance(self) -> Path:
        """Table of the aggregated relevance of each rated pair."""
        return self.root / "data/tables/relevance.parquet"

    @property
    def clip_pairs(self) -> Path:
        """Table of the rated pairs that the CLIP learns from. Empty where `clip.ratings` is 0."""
        return self.root / "data/tables/clip_pairs.parquet"

    @property
    def withheld(self) -> Path:
        """Table of the rated pairs that the relevance model must not use. Empty where `clip.ratings` is 0."""
        return self.root / "data/tables/withheld.parquet"

    # Vectors and predictions

    @property
    def image_embeddings(self) -> Path:
        """Folder of `<encoder>.parquet`."""
        return self.root / "data/embeddings/images"

    @property
    def text_embeddings(self) -> Path:
        """Folder of `<encoder>.parquet`."""
        return self.root / "data/embeddings/texts"

    @property
    def predictions(self) -> Path:
        """Folder of out-of-fold predictions: model.parquet, and one file per baseline."""
        return self.root / "data/predictions"

    # Models

    @property
    def models(self) -> Path:
        """Folder of all models and indexes."""
        return self.root / "models"

    @property
    def clip(self) -> Path:
        """Folder of the CLIP of the run."""
        return self.models / "clip"

    @property
    def text_encoders(self) -> Path:
        """Folder of one folder per text encoder: what it needs beside its weights."""
        return self.models / "text_encoders"

    @property
    def relevance_model(self) -> Path:
        """Folder of the relevance model."""
        return self.models / "relevance"

    @property
    def index(self) -> Path:
        """Folder of the search index."""
        return self.models / "index"

    @property
    def champion(self) -> Path:
        """Link to the folder of the champion: the models in use."""
        return self.models / "champion"

    # Reports and metrics

    @property
    def metrics(self) -> Path:
        """Folder of `<stage>.json`."""
        return self.root / "metrics"

    @property
    def rate_next(self) -> Path:
        """Table of the pairs for which one more expert rating is most informative."""
        return self.root / "reports/rate_next.csv"

    @property
    def rating_bins(self) -> Path:
        """Histogram of ratings and relevances in 20 bins of 0..1, for DVC's plots."""
        return self.root / "reports/rating_bins.csv"

    @property
    def reliability(self) -> Path:
        """Reliability diagram of the model: mean predicted and mean observed relevance by bin, for DVC's plots."""
        return self.root / "reports/reliability.csv"

    @property
    def data_docs(self) -> Path:
        """Folder of Great Expectations' data docs, `<table>.html`."""
        return self.root / "reports/data_docs"

    @property
    def report(self) -> Path:
        """The report of the run."""
        return self.root / "reports/index.html"

    @property
    def ratings_report(self) -> Path:
        """The report of the ratings."""
        return self.root / "reports/ratings.html"

    def artifacts(self) -> "Artifacts":
        """Return what the stages wrote last."""
        return Artifacts(self.index, self.text_encoders, self.relevance_model, self.clip, self.params)

    def champion_artifacts(self) -> "Artifacts | None":
        """Return the artifacts of the champion, None where there is no champion."""
        return version_artifacts(self.champion)

    def artifacts_of(self, index: Path) -> "Artifacts":
        """Return the artifacts that belong to an index.

        Args:
            index: folder of an index, or of one version of the champion (its index is then searched with its own
                models).
        """
        if version := version_artifacts(index):
            return version
        current = self.artifacts()
        return Artifacts(index, current.text_encoders, current.relevance, current.clip, current.params)


@dataclass(frozen=True)
class Artifacts:
    """The artifacts that search and scoring read.

    Attributes:
        index: folder of the search index.
        text_encoders: folder of one folder per text encoder.
        relevance: folder of the relevance model.
        clip: folder of the CLIP of the run. The encoders in `params` name it where they use it.
        params: file of the settings.
    """

    index: Path
    text_encoders: Path
    relevance: Path
    clip: Path
    params: Path


def version_artifacts(version: Path) -> Artifacts | None:
    """Return the artifacts of one version of the champion, None where the folder is not a complete version.

    A link is resolved once, so that all artifacts are of the same version even when another one is published meanwhile.

    Args:
        version: folder of a version, or a link to it. It contains the models and their params.yaml.
    """
    folder = version.resolve()
    layout = Project(folder)
    artifacts = Artifacts(
        folder / "index", folder / "text_encoders", folder / "relevance", folder / "clip", layout.params
    )
    return artifacts if artifacts.params.is_file() and artifacts.relevance.is_dir() else None


PROJECT = Project()
"""The project in the working directory."""

SEEN_TEXT = "seen_text"
"""In `predictions`: scores of the model where only the image was held out."""

SCORE_SUMMARY = "_summary.json"
"""In a folder of scores: what the last batch scoring did."""
