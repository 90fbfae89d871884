"""Register the model of the last training with MLflow, as one that scores photos and texts by itself.

`kadr register` takes what the pipeline left in models/, sees that the packed model gives the pipeline's own
numbers, and registers it as a version of `kadr-<train.experiment>`. It is no DVC stage: what it writes is in MLflow's
store, where DVC would not notice that it is gone. A training by itself keeps in MLflow only what is small.
"""

import io
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import kadr
from kadr.errors import ModelError
from kadr.features import Images, Texts
from kadr.io.embeddings import Embeddings
from kadr.io.schemas import IMAGES, PAIR, QUERIES, RELEVANCE, read_table
from kadr.io.thumbnails import open_thumbnail
from kadr.model import RelevanceModel
from kadr.operations.scoring.scorer import PHOTO, PHOTO_BYTES, PREDICTED, TEXT
from kadr.operations.tracking import packaging, recording
from kadr.operations.tracking.lineage import MODEL_TAG, folder_digest
from kadr.params import Params
from kadr.project import PROJECT

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.models import ModelSignature
    from mlflow.models.model import ModelInfo

logger = logging.getLogger(__name__)

N_CHECKED = 16  # pairs that the packed model and the pipeline both score
TOLERANCE = 0.02  # a batch of another size moves a vector's last bits, and a tree may split right there
THUMBNAIL = 64  # pixels of the example's photo
HEADLINE = ("tau_c", "tau_b", "spearman", "rmse", "recall_at_1")


def register(params: Params) -> tuple[str, str]:
    """Pack, check and register the model in models/; the name and version, an old one where it is registered already.

    Raises:
        ModelError: the packed model does not give the pipeline's numbers.
        TrackingError: the store has no run of this training.
    """
    import mlflow

    client = mlflow.MlflowClient()
    name, digest = f"kadr-{params.train.experiment}", folder_digest(PROJECT.relevance_model)
    for known in client.search_model_versions(f"name = '{name}'"):
        if known.tags.get(MODEL_TAG) == digest:
            return name, str(known.version)
    run = recording.find_run(params.train.experiment, digest)
    if run is None:
        raise recording.TrackingError(
            f"no run of the model in {PROJECT.relevance_model}: record it by `dvc repro --force --single-item train`"
        )
    pairs, config = checked_pairs(), packaging.config(params)
    check_numbers(params, config, pairs)
    with mlflow.start_run(run_id=run.info.run_id):
        model = log_model(params, config, pairs)
    return name, _new_version(client, name, model.model_uri, run, digest)


def checked_pairs() -> pd.DataFrame:
    """The first rated pairs: columns image_id, query_id, photo, text."""
    pairs: pd.DataFrame = read_table(PROJECT.relevance, RELEVANCE).to_pandas().head(N_CHECKED)[PAIR]
    path_of = read_table(PROJECT.images, IMAGES).to_pandas().set_index("image_id")["path"]
    text_of = read_table(PROJECT.queries, QUERIES).to_pandas().set_index("query_id")["text"]
    return pairs.assign(**{PHOTO: pairs["image_id"].map(path_of), TEXT: pairs["query_id"].map(text_of)})


def log_model(params: Params, config: dict[str, Any], pairs: pd.DataFrame) -> "ModelInfo":
    """Pack the model into the current run."""
    import mlflow

    return mlflow.pyfunc.log_model(  # type: ignore[no-any-return]
        name="relevance",
        python_model=str(Path(__file__).with_name("pyfunc.py")),
        artifacts=packaging.artifacts(params),
        code_paths=[str(Path(kadr.__file__).parent)],
        model_config=config,
        pip_requirements=packaging.requirements(params),
        signature=_signature(),
        input_example=_example(pairs),
    )


def check_numbers(params: Params, config: dict[str, Any], pairs: pd.DataFrame) -> None:
    """Raise ModelError unless what is packed scores the pairs as the pipeline does from the vectors of its stages."""
    from mlflow.pyfunc.model import PythonModelContext

    from kadr.operations.tracking.pyfunc import RelevancePredictor

    context = PythonModelContext(packaging.artifacts(params), config)  # type: ignore[no-untyped-call]
    predictor = RelevancePredictor()
    predictor.load_context(context)
    got = predictor.predict(context, pairs[[PHOTO, TEXT]])[PREDICTED].to_numpy()
    image_ids, image_rows = np.unique(pairs["image_id"].to_numpy(dtype=str), return_inverse=True)
    query_ids, text_rows = np.unique(pairs["query_id"].to_numpy(dtype=str), return_inverse=True)
    text_of = pairs.set_index("query_id")[TEXT].to_dict()
    images = Embeddings.read_all(PROJECT.image_embeddings, params.embed_images.encoders)
    texts = Embeddings.read_all(PROJECT.text_embeddings, params.embed_texts.encoders)
    wanted = RelevanceModel.load(PROJECT.relevance_model).predict(
        Images.select(images, image_ids.tolist()),
        Texts.select(texts, {query_id: text_of[query_id] for query_id in query_ids}),
        image_rows,
        text_rows,
    )
    worst = float(np.abs(got - wanted).max())
    if not worst <= TOLERANCE:
        raise ModelError(
            f"the packed model's relevance differs by up to {worst:.3g} from the pipeline's, more than {TOLERANCE}: "
            "the encoders are not those of the training any more; run `dvc repro`"
        )
    logger.info("%d pairs scored as by the pipeline, to %.1g", len(pairs), worst)


def _new_version(client: "MlflowClient", name: str, model_uri: str, run: "Run", digest: str) -> str:
    """Register the logged model; the version."""
    import mlflow

    version = mlflow.register_model(
        model_uri, name, tags={MODEL_TAG: digest, "git.commit": run.data.tags["git.commit"]}
    )
    figures = ", ".join(f"{key} {run.data.metrics[key]:.4g}" for key in HEADLINE if key in run.data.metrics)
    client.update_model_version(name, version.version, f"{run.info.run_name}: {figures or 'not evaluated yet'}")
    return str(version.version)


def _signature() -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    photo = [ColSpec("string", PHOTO, required=False), ColSpec("binary", PHOTO_BYTES, required=False)]
    return ModelSignature(
        Schema([*photo, ColSpec("string", TEXT)]),
        Schema([ColSpec("double", PREDICTED)]),
    )


def _example(pairs: pd.DataFrame) -> pd.DataFrame:
    """The first pair, its photo small and by its bytes, so that the example needs no file."""
    first = pairs.iloc[0]
    content = io.BytesIO()
    open_thumbnail(Path(first[PHOTO]), THUMBNAIL).save(content, format="JPEG")
    return pd.DataFrame({PHOTO_BYTES: [content.getvalue()], TEXT: [first[TEXT]]})
