"""Paths of all files and folders in a project folder, and of the user's index outside of a project."""

from dataclasses import dataclass
from pathlib import Path

from kadr.user_folders import user_folders

_EXPERIMENTS = (".dvc", "tmp", "exps")
"""Last parts of the folder in which DVC runs experiments in temporary copies of the project."""


@dataclass(frozen=True)
class Project:
    """Paths of the files and folders of a project, as used in dvc.yaml.

    A folder is a project if it contains params.yaml. In any other folder, `photo_index`, `search_index` and
    `ratings_folder` are in the user's folders, so that people can search their photos without a project.

    Attributes:
        root: project folder. The default is the working directory, so that all paths are relative.
    """

    root: Path = Path()

    @property
    def exists(self) -> bool:
        """Whether the folder is a project folder."""
        return self.params.is_file()

    # Settings

    @property
    def params(self) -> Path:
        """File that contains all settings."""
        return self.root / "params.yaml"

    @property
    def dvc_lock(self) -> Path:
        """Path of dvc.lock, in which DVC records the inputs and outputs of each stage."""
        return self.root / "dvc.lock"

    @property
    def presets(self) -> Path:
        """Folder of the preset files, `<preset>.yaml`."""
        return self.root / "presets"

    @property
    def expectations(self) -> Path:
        """Folder of the Great Expectations suites, `<table>.json`."""
        return self.root / "expectations"

    # Input

    @property
    def raw(self) -> Path:
        """Folder of the raw datasets."""
        return self.root / "data/raw"

    # Code

    @property
    def code(self) -> Path:
        """Folder of the code hashes of each stage, `<stage>.json`."""
        return self.root / "data/code"

    # Tables

    @property
    def images(self) -> Path:
        """Table of the images in the train and test splits."""
        return self.root / "data/tables/images.parquet"

    @property
    def corpus(self) -> Path:
        """Table of the images in the corpus split, which have captions but no ratings."""
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
        """Table of all ratings, with one row per rating."""
        return self.root / "data/tables/ratings.parquet"

    @property
    def quarantine(self) -> Path:
        """Table of invalid rows and images, with the rules that they violate."""
        return self.root / "data/tables/quarantine.parquet"

    @property
    def leaks(self) -> Path:
        """Table of near-duplicate images and identical texts in different splits."""
        return self.root / "data/tables/leaks.parquet"

    @property
    def relevance(self) -> Path:
        """Table of the aggregated relevance of each rated pair."""
        return self.root / "data/tables/relevance.parquet"

    @property
    def clip_pairs(self) -> Path:
        """Table of the rated pairs used to train the CLIP model. The table is empty if `clip.ratings` is 0."""
        return self.root / "data/tables/clip_pairs.parquet"

    @property
    def withheld(self) -> Path:
        """Table of the rated pairs that the relevance model must not use. The table is empty if `clip.ratings` is 0."""
        return self.root / "data/tables/withheld.parquet"

    # Vectors and predictions

    @property
    def image_embeddings(self) -> Path:
        """Folder of the image embeddings tables, `<encoder>.parquet`."""
        return self.root / "data/embeddings/images"

    @property
    def text_embeddings(self) -> Path:
        """Folder of the text embeddings tables, `<encoder>.parquet`."""
        return self.root / "data/embeddings/texts"

    @property
    def predictions(self) -> Path:
        """Folder of out-of-fold predictions: `model.parquet` for the model, and one file for each baseline."""
        return self.root / "data/predictions"

    # Models

    @property
    def models(self) -> Path:
        """Folder of all models and indexes."""
        return self.root / "models"

    @property
    def clip(self) -> Path:
        """Folder of the CLIP model."""
        return self.models / "clip"

    @property
    def text_encoders(self) -> Path:
        """Folder of the data that text encoders learn, such as a vocabulary, with one subfolder per encoder."""
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
    def photo_index(self) -> Path:
        """Link to the current version of the index that `kadr index` writes."""
        return self.models / "photos" if self.exists else user_folders().index

    @property
    def search_index(self) -> Path:
        """Default index of search and of the server: the index of the pipeline, or the user's index."""
        return self.index if self.exists else self.photo_index

    @property
    def champion(self) -> Path:
        """Link to the current version of the champion, which is the set of models in use."""
        return self.models / "champion"

    # Reports and metrics

    @property
    def metrics(self) -> Path:
        """Folder of the metrics files, `<stage>.json`."""
        return self.root / "metrics"

    @property
    def rate_next(self) -> Path:
        """Table of the pairs for which another expert rating would be most informative."""
        return self.root / "reports/rate_next.csv"

    @property
    def rating_bins(self) -> Path:
        """Histograms of ratings and relevances with 20 bins from 0 to 1, for DVC plots."""
        return self.root / "reports/rating_bins.csv"

    @property
    def reliability(self) -> Path:
        """Data of the reliability diagram: mean predicted and mean observed relevance per bin, for DVC plots."""
        return self.root / "reports/reliability.csv"

    @property
    def refresh_report(self) -> Path:
        """Path of the JSON report of the last comparison with the champion."""
        return self.root / "reports/refresh.json"

    @property
    def failures(self) -> Path:
        """Folder of the reasons why stages failed, `<stage>.json`."""
        return self.root / "reports/failures"

    @property
    def data_docs(self) -> Path:
        """Folder of the data docs, which show the validation results: `index.html` and `<table>.html`."""
        return self.root / "reports/data_docs"

    @property
    def rejected_input(self) -> Path:
        """Folder of the data docs and the quarantine of the last input, if `ingest` rejected it."""
        return self.root / "reports/rejected_input"

    @property
    def report(self) -> Path:
        """HTML report of the last pipeline run."""
        return self.root / "reports/index.html"

    @property
    def ratings_report(self) -> Path:
        """HTML report about the ratings."""
        return self.root / "reports/ratings.html"

    def ratings_folder(self, source: str | Path) -> Path:
        """Return the folder of the ratings that people give on the web page.

        Args:
            source: folder of the raw dataset, `ingest.source` in params.yaml. It is ignored outside of a project.
        """
        return Path(source) if self.exists else user_folders().data

    @property
    def collections(self) -> Path:
        """SQLite file of the favourites and the saved searches of the web page."""
        return self.root / "data/collections.sqlite" if self.exists else user_folders().data / "collections.sqlite"

    @property
    def thumbnails(self) -> Path:
        """Folder of the thumbnails of the web page, which all projects share."""
        return user_folders().cache / "thumbnails"

    def artifacts(self) -> "Artifacts":
        """Return the paths of the artifacts of the last pipeline run."""
        return Artifacts(self.index, self.text_encoders, self.relevance_model, self.clip, self.params)

    def champion_artifacts(self) -> "Artifacts | None":
        """Return the paths of the artifacts of the champion, or None if the project has no champion."""
        return version_artifacts(self.champion)

    def index_artifacts(self, index: Path) -> "Artifacts":
        """Return the paths of the artifacts needed to search an index.

        Args:
            index: folder of an index or of a champion. A champion contains its own models. Any other index is
                searched with the models of the last pipeline run.
        """
        if version := version_artifacts(index):
            return version
        current = self.artifacts()
        return Artifacts(index, current.text_encoders, current.relevance, current.clip, current.params)


@dataclass(frozen=True)
class Artifacts:
    """Paths of the artifacts that are needed to search images and to score pairs.

    Attributes:
        index: folder of the search index.
        text_encoders: folder of the data that text encoders learn.
        relevance: folder of the relevance model.
        clip: folder of the CLIP model.
        params: path of params.yaml.
    """

    index: Path
    text_encoders: Path
    relevance: Path
    clip: Path
    params: Path


def version_artifacts(version: Path) -> Artifacts | None:
    """Return the paths of the artifacts of a champion version, or None if the folder is not a champion version.

    A link is resolved once, so that all artifacts belong to the same version even if the champion changes.

    Args:
        version: folder of the version, which contains the models and their params.yaml, or a link to this folder.
    """
    folder = version.resolve()
    layout = Project(folder)
    artifacts = Artifacts(
        folder / "index", folder / "text_encoders", folder / "relevance", folder / "clip", layout.params
    )
    return artifacts if artifacts.params.is_file() and artifacts.relevance.is_dir() else None


def project_folder() -> Path:
    """Return the absolute path of the project folder, also in the temporary folder of a DVC experiment."""
    folder = Path.cwd()
    experiments = (parent for parent in folder.parents if parent.parts[-3:] == _EXPERIMENTS)
    return next((experiment.parents[2] for experiment in experiments), folder)


PROJECT = Project()
"""The project in the working directory, or the user's folders if the working directory is not a project."""

SEEN_TEXT = "seen_text"
"""Name of the predictions for pairs of an unseen image and a query that was in the training data."""

SCORE_SUMMARY = "_summary.json"
"""File name of the summary that batch scoring writes to its output folder."""
