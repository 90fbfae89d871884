"""Settings of an encoder, validated with the settings model of its backend."""

from functools import partial
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from kadr.errors import ParamsError
from kadr.params.base import Section
from kadr.registry import Registry

IMAGE_ENCODERS: Registry[Any] = Registry("kadr.image_encoders", "embed_images.encoders.*.backend")
"""Registry of the image encoder classes, by backend name."""

TEXT_ENCODERS: Registry[Any] = Registry("kadr.text_encoders", "embed_texts.encoders.*.backend")
"""Registry of the text encoder classes, by backend name."""


Languages = Annotated[
    list[Annotated[str, Field(pattern="^[a-z]{2,3}$")]] | None,
    Field(
        description="Languages that the text encoder knows, as ISO 639-1 codes, e.g. [en, de]. null derives them from "
        "the tokenizer: English if its vocabulary has only Latin letters, otherwise all languages."
    ),
]
"""Setting of a text encoder: the languages that it knows."""


class EncoderParams(Section):
    """Settings of one encoder.

    Each backend defines a subclass. The attribute `params_model` of an encoder class names this subclass.
    """

    backend: str = Field(description="Name of a registered encoder backend.")

    @property
    def vector_space(self) -> str | None:
        """Name of the model whose vectors are comparable with the vectors of this encoder. None if not shared."""
        return None

    @property
    def weight_paths(self) -> dict[str, str]:
        """Local files and folders that contain weights: name of the setting -> path."""
        return {}

    @property
    def weight_packages(self) -> dict[str, str]:
        """Weights in installed packages: name of the setting -> `package:MODULE/PATH`."""
        return {}

    @property
    def distributions(self) -> list[str]:
        """Names of the Python distributions that the encoder needs."""
        return []


def _validate_encoder(registry: Registry[Any], value: Any) -> EncoderParams:
    """Validate the settings of one encoder with the settings model of its backend."""
    if isinstance(value, EncoderParams):
        return value
    if not isinstance(value, dict):
        raise PydanticCustomError("encoder_type", "expected a mapping with the key backend")
    if "backend" not in value:
        raise _backend_error("missing", value)
    backend = value["backend"]
    if backend not in registry.names:
        known = ", ".join(registry.names)
        problem = PydanticCustomError("unknown_backend", f"expected one of {known}")
        raise _backend_error(problem, backend)
    try:
        model = registry.load(backend).params_model
    except ParamsError as error:
        raise _backend_error(PydanticCustomError("missing_package", str(error)), backend) from error
    params: EncoderParams = model.model_validate(value)
    return params


def _backend_error(problem: str | PydanticCustomError, value: Any) -> ValidationError:
    details = InitErrorDetails(type=problem, loc=("backend",), input=value)
    return ValidationError.from_exception_data("encoder", [details])


ImageEncoderParams = Annotated[
    SerializeAsAny[EncoderParams], BeforeValidator(partial(_validate_encoder, IMAGE_ENCODERS))
]
TextEncoderParams = Annotated[SerializeAsAny[EncoderParams], BeforeValidator(partial(_validate_encoder, TEXT_ENCODERS))]
