"""Package the relevance model with its encoders, and register the package in MLflow.

A training run logs only small files to MLflow. `register_model` packages the model of the last pipeline run, checks
that the package and the pipeline predict the same relevance, and registers the package as a version of
`kadr-<train.experiment>`. This code is not a DVC stage, because DVC cannot detect that a model is missing in MLflow.
"""

import io
import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import kadr
from kadr.encoders.precomputed import PrecomputedParams
from kadr.errors import ModelError
from kadr.features import Images, Texts
from kadr.io.embeddings import Embeddings
from kadr.io.schemas import IMAGES, PAIR, QUERIES, RELEVANCE, read_table
from kadr.io.thumbnails import open_thumbnail
from kadr.model import RelevanceModel
from kadr.operations.scoring.scorer import IMAGE_BYTES_COLUMN, IMAGE_COLUMN, RELEVANCE_COLUMN, TEXT_COLUMN
from kadr.operations.tracking import packaging
from kadr.operations.tracking.lineage import MODEL_TAG, folder_digest
from kadr.operations.tracking.runs import find_run
from kadr.operations.tracking.tracking_store import TrackingError
from kadr.params import EmbedImagesParams, EmbedTextsParams
from kadr.project import PROJECT

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.models import ModelSignature
    from mlflow.models.model import ModelInfo

logger = logging.getLogger(__name__)

N_CHECK_PAIRS = 16
"""Number of rated pairs on which the predictions of the package and the pipeline are compared."""

TOLERANCE = 0.02
"""Maximum accepted difference in relevance between the package and the pipeline.

A different batch size changes the last bits of a vector, so a pair can end up in a different leaf of a tree.
"""

THUMBNAIL_SIDE = 64
"""Side length of the image in the input example, in pixels."""

HEADLINE_METRICS = ("tau_c", "tau_b", "spearman", "rmse", "recall_at_1")


def register_model(experiment: str, images: EmbedImagesParams, texts: EmbedTextsParams) -> tuple[str, str]:
    """Package, check and register the model of the last pipeline run.

    Args:
        experiment: name of the experiment that contains the training run.
        images: settings of the model's image encoders.
        texts: settings of the model's text encoders.

    Returns:
        Name and version of the registered model. If the model is already registered, its existing version is returned.

    Raises:
        ModelError: the package does not predict the same relevance as the pipeline, or cannot embed images.
        TrackingError: the MLflow store does not contain a training run of this model.
    """
    import mlflow

    for encoder, settings in images.encoders.items():
        if isinstance(settings, PrecomputedParams):
            raise ModelError(
                f"The image encoder {encoder} has only vectors that were computed elsewhere, so a package of the model "
                "could not embed images. Set embed_images.encoders to encoders that embed images, and run `dvc repro`."
            )
    client = mlflow.MlflowClient()
    name, digest = f"kadr-{experiment}", folder_digest(PROJECT.relevance_model)
    for registered in client.search_model_versions(f"name = '{name}'"):
        if registered.tags.get(MODEL_TAG) == digest:
            return name, str(registered.version)
    run = find_run(experiment, digest)
    if run is None:
        raise TrackingError(
            f"MLflow has no training run of the model in {PROJECT.relevance_model}. "
            "Run `dvc repro --force --single-item train` to record a run."
        )
    pairs = read_check_pairs()
    check_predictions(images, texts, pairs)
    model = log_model(run.info.run_id, images, texts, pairs)
    return name, _register_version(client, name, model.model_uri, run, digest)


def read_check_pairs() -> pd.DataFrame:
    """Return the first N_CHECK_PAIRS rated pairs, with the columns image_id, query_id, photo (a path) and text."""
    pairs: pd.DataFrame = read_table(PROJECT.relevance, RELEVANCE).to_pandas().head(N_CHECK_PAIRS)[PAIR]
    paths = read_table(PROJECT.images, IMAGES).to_pandas().set_index("image_id")["path"]
    texts = read_table(PROJECT.queries, QUERIES).to_pandas().set_index("query_id")["text"]
    return pairs.assign(**{IMAGE_COLUMN: pairs["image_id"].map(paths), TEXT_COLUMN: pairs["query_id"].map(texts)})


def log_model(run_id: str, images: EmbedImagesParams, texts: EmbedTextsParams, pairs: pd.DataFrame) -> "ModelInfo":
    """Log the model package to an MLflow run, without reopening the run.

    Args:
        run_id: ID of the training run.
        images: settings of the model's image encoders.
        texts: settings of the model's text encoders.
        pairs: pairs from `read_check_pairs`. The first pair becomes the input example.
    """
    import mlflow
    from mlflow.models import Model

    with TemporaryDirectory() as folder:
        metadata = packaging.write_distribution_metadata(Path(folder))
        return Model.log(  # type: ignore[no-any-return]  # `mlflow.pyfunc.log_model` has no run_id
            None,
            flavor=mlflow.pyfunc,
            run_id=run_id,
            name="relevance",
            python_model=str(Path(__file__).with_name("pyfunc.py")),
            artifacts=_package_files(Path(folder), images, texts),
            code_paths=[str(Path(kadr.__file__).parent), str(metadata)],
            pip_requirements=packaging.package_requirements(images, texts),
            signature=_signature(),
            input_example=_input_example(pairs),
        )


def check_predictions(images: EmbedImagesParams, texts: EmbedTextsParams, pairs: pd.DataFrame) -> None:
    """Check that the package and the pipeline predict the same relevance.

    Args:
        images: settings of the model's image encoders.
        texts: settings of the model's text encoders.
        pairs: pairs from `read_check_pairs`.

    Raises:
        ModelError: a prediction differs by more than TOLERANCE.
    """
    packaged, expected = _predict_with_package(images, texts, pairs), _predict_with_pipeline(images, texts, pairs)
    difference = float(np.abs(packaged - expected).max())
    if not difference <= TOLERANCE:
        raise ModelError(
            f"The packaged model differs from the pipeline by up to {difference:.3g} in relevance, expected at most "
            f"{TOLERANCE}. The encoders have changed since training. Run `dvc repro`, then `kadr register`."
        )
    logger.info("The package and the pipeline agree on %d pairs (maximum difference %.1g)", len(pairs), difference)


def _package_files(folder: Path, images: EmbedImagesParams, texts: EmbedTextsParams) -> dict[str, str]:
    """Return the paths of all files and folders of the package, by artifact name. Write its settings to `folder`."""
    settings = packaging.write_package_settings(folder, images, texts)
    return packaging.package_artifacts(images, texts) | {"settings": str(settings)}


def _predict_with_package(images: EmbedImagesParams, texts: EmbedTextsParams, pairs: pd.DataFrame) -> Any:
    """Use the package to predict the relevance of the pairs from image files and texts: (n_pairs,)."""
    from mlflow.pyfunc.model import PythonModelContext

    from kadr.operations.tracking.pyfunc import RelevancePredictor

    predictor = RelevancePredictor()
    with TemporaryDirectory() as folder:
        context = PythonModelContext(_package_files(Path(folder), images, texts), {})  # type: ignore[no-untyped-call]
        predictor.load_context(context)
    return predictor.predict(context, pairs[[IMAGE_COLUMN, TEXT_COLUMN]])[RELEVANCE_COLUMN].to_numpy()


def _predict_with_pipeline(images: EmbedImagesParams, texts: EmbedTextsParams, pairs: pd.DataFrame) -> Any:
    """Use the pipeline's model and embeddings to predict the relevance of the pairs: (n_pairs,)."""
    image_ids, image_rows = np.unique(pairs["image_id"].to_numpy(dtype=str), return_inverse=True)
    query_ids, text_rows = np.unique(pairs["query_id"].to_numpy(dtype=str), return_inverse=True)
    text_by_query = pairs.set_index("query_id")[TEXT_COLUMN].to_dict()
    return RelevanceModel.load(PROJECT.relevance_model).predict(
        Images.select(Embeddings.read_all(PROJECT.image_embeddings, images.encoders), image_ids.tolist()),
        Texts.select(
            Embeddings.read_all(PROJECT.text_embeddings, texts.encoders),
            {query_id: text_by_query[query_id] for query_id in query_ids},
        ),
        image_rows,
        text_rows,
    )


def _register_version(client: "MlflowClient", name: str, model_uri: str, run: "Run", digest: str) -> str:
    """Register a logged model and return its version."""
    import mlflow

    version = mlflow.register_model(
        model_uri, name, tags={MODEL_TAG: digest, "git.commit": run.data.tags["git.commit"]}
    )
    metrics = ", ".join(f"{key} {run.data.metrics[key]:.4g}" for key in HEADLINE_METRICS if key in run.data.metrics)
    client.update_model_version(name, version.version, f"{run.info.run_name}: {metrics or 'not evaluated yet'}")
    return str(version.version)


def _signature() -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    image = [ColSpec("string", IMAGE_COLUMN, required=False), ColSpec("binary", IMAGE_BYTES_COLUMN, required=False)]
    return ModelSignature(
        Schema([*image, ColSpec("string", TEXT_COLUMN)]),
        Schema([ColSpec("double", RELEVANCE_COLUMN)]),
    )


def _input_example(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the first pair as the input example, with the bytes of a thumbnail in place of the image path."""
    pair = pairs.iloc[0]
    content = io.BytesIO()
    open_thumbnail(Path(pair[IMAGE_COLUMN]), THUMBNAIL_SIDE).save(content, format="JPEG")
    return pd.DataFrame({IMAGE_BYTES_COLUMN: [content.getvalue()], TEXT_COLUMN: [pair[TEXT_COLUMN]]})
