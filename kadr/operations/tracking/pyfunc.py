"""MLflow pyfunc model that predicts the relevance of image-text pairs.

MLflow stores this file and a copy of the kadr package in the model package ("models from code"). A registered model
therefore runs with the code that it was registered with, and no objects are pickled.
"""

import json
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModelContext

from kadr.errors import InputError
from kadr.operations.scoring.scorer import (
    IMAGE_BYTES_COLUMN,
    IMAGE_COLUMN,
    RELEVANCE_COLUMN,
    TEXT_COLUMN,
    ImageSource,
    Scorer,
)
from kadr.params import DecodingParams, EmbedImagesParams, EmbedTextsParams


class RelevancePredictor(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    """Predicts the relevance of image-text pairs, 0 to 1."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the encoders and the relevance model from the artifacts of the package."""
        config = json.loads(Path(context.artifacts["settings"]).read_text(encoding="utf-8"))
        self._scorer = Scorer.load(
            EmbedImagesParams.model_validate(_fill_section(config["embed_images"], context.artifacts)),
            EmbedTextsParams.model_validate(_fill_section(config["embed_texts"], context.artifacts)),
            Path(context.artifacts["text_encoders"]),
            Path(context.artifacts["relevance"]),
            config["identities"],
            decoding=DecodingParams.model_validate(config["decoding"]),
        )

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Predict the relevance of each input row.

        Args:
            context: not used.
            model_input: one row per pair, with the column text and either photo (path or URI of an image) or
                photo_bytes (bytes of an image file).
            params: not used.

        Returns:
            Table with the column relevance, 0 to 1, in the order of the input rows.

        Raises:
            InputError: a row has no image, two images or no text, or its image cannot be read.
        """
        images = [_image(row, values) for row, values in enumerate(model_input.to_dict("records"))]
        texts = model_input[TEXT_COLUMN].fillna("").astype(str).tolist()
        return pd.DataFrame({RELEVANCE_COLUMN: self._scorer.score(images, texts)}, index=model_input.index)


def _fill_section(section: dict[str, Any], artifacts: dict[str, str]) -> dict[str, Any]:
    """Replace each placeholder `{artifact}` in the encoder settings of a section with the path of the artifact."""
    encoders = {
        name: {key: _fill_value(value, artifacts) for key, value in spec.items()}
        for name, spec in section["encoders"].items()
    }
    return {**section, "encoders": encoders}


def _fill_value(value: Any, artifacts: dict[str, str]) -> Any:
    for name, path in artifacts.items():
        if isinstance(value, str):
            value = value.replace(f"{{{name}}}", path)
    return value


def _image(row: int, values: dict[Any, Any]) -> ImageSource:
    columns = (IMAGE_COLUMN, IMAGE_BYTES_COLUMN)
    images = [values[column] for column in columns if column in values and not pd.isna(values[column])]
    if len(images) != 1 or not images[0]:
        raise InputError(
            f"Row {row} has {len(images)} images, expected 1. Fill either `{IMAGE_COLUMN}` (a path or URI) or "
            f"`{IMAGE_BYTES_COLUMN}` (the bytes of the file, base64 in JSON)."
        )
    return images[0] if isinstance(images[0], bytes) else str(images[0])


mlflow.models.set_model(RelevancePredictor())
