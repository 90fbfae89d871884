"""The relevance model as MLflow loads it: rows of photo and text in, relevance out.

MLflow keeps this file and a copy of the package kadr with the model (models from code), so nothing is pickled and a
model goes on to be served by the code that it was registered with.
"""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModelContext

from kadr.errors import InputError
from kadr.operations.scoring.scorer import PHOTO, PHOTO_BYTES, PREDICTED, TEXT, Content, Scorer
from kadr.params import EmbedImagesParams, EmbedTextsParams


class RelevancePredictor(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    """Predicts the relevance 0..1 of rows `photo` (path or URI) or `photo_bytes`, and `text`."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the encoders and the model from the artifacts, that `model_registry` logged."""
        config = context.model_config
        self._scorer = Scorer.load(
            EmbedImagesParams.model_validate(_at_home(config["embed_images"], context.artifacts)),
            EmbedTextsParams.model_validate(_at_home(config["embed_texts"], context.artifacts)),
            Path(context.artifacts["text_encoders"]),
            Path(context.artifacts["relevance"]),
            config["identities"],
        )

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """One relevance a row, in the order of the rows. Raises InputError by the first row that is not whole."""
        photos = [_photo(row, values) for row, values in enumerate(model_input.to_dict("records"))]
        texts = model_input[TEXT].fillna("").astype(str).tolist()
        return pd.DataFrame({PREDICTED: self._scorer.score(photos, texts)}, index=model_input.index)


def _at_home(section: dict[str, Any], artifacts: dict[str, str]) -> dict[str, Any]:
    """A section of params whose encoders' `{name}` stands for the folder of the artifact `name`."""
    encoders = {
        name: {key: _filled(value, artifacts) for key, value in spec.items()}
        for name, spec in section["encoders"].items()
    }
    return {**section, "encoders": encoders}


def _filled(value: Any, artifacts: dict[str, str]) -> Any:
    for name, folder in artifacts.items():
        if isinstance(value, str):
            value = value.replace(f"{{{name}}}", folder)
    return value


def _photo(row: int, values: dict[Any, Any]) -> Content:
    given = [values[key] for key in (PHOTO, PHOTO_BYTES) if key in values and not pd.isna(values[key])]
    if len(given) != 1 or not given[0]:
        raise InputError(
            f"row {row}: wanted one photo, as `{PHOTO}` (a path or URI) or as `{PHOTO_BYTES}` (its file; base64 in "
            f"JSON), got {len(given)}"
        )
    return given[0] if isinstance(given[0], bytes) else str(given[0])


mlflow.models.set_model(RelevancePredictor())
