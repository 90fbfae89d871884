"""The CLIP models that can be selected by a short name, and the names of all other CLIP models."""

import difflib
from dataclasses import dataclass
from pathlib import Path

from kadr.errors import ParamsError

LOCAL_DIR, HF_HUB = "local-dir:", "hf-hub:"
DEFAULT_MODEL = "small"


@dataclass(frozen=True)
class NamedModel:
    """A CLIP model that kadr recommends. docs/encoders.md compares these models.

    Attributes:
        name: open_clip architecture, a slash, and the tag of the pretrained weights.
        purpose: reason to choose this model.
        n_parameters: number of parameters in millions.
    """

    name: str
    purpose: str
    n_parameters: float

    @property
    def megabytes(self) -> int:
        """Size of the weights on the hub, in megabytes. Each parameter is a float32 number."""
        return round(4 * self.n_parameters)


NAMED_MODELS = {
    "small": NamedModel("ViT-B-32/laion2b_s34b_b79k", "English queries, fast on a CPU", 151.3),
    "multilingual": NamedModel(
        "ViT-B-16-SigLIP2-256/webli", "queries in many languages, and better results in English", 375.2
    ),
    "large": NamedModel("ViT-SO400M-16-SigLIP2-256/webli", "the best results, for a machine with a GPU", 1135.7),
}
"""Short name -> CLIP model."""


def full_model_name(name: str) -> str:
    """Return the full name of a CLIP model: `ARCHITECTURE/WEIGHTS`, `hf-hub:NAME` or `local-dir:FOLDER`.

    Args:
        name: short name, full name, or path of a folder that contains the model.

    Raises:
        ParamsError: the name is not complete, or the folder does not exist.

    >>> full_model_name("small")
    'ViT-B-32/laion2b_s34b_b79k'
    """
    if name in NAMED_MODELS:
        return NAMED_MODELS[name].name
    if name.startswith(HF_HUB):
        return name
    folder = Path(name.removeprefix(LOCAL_DIR)).expanduser()
    if folder.is_dir():
        return f"{LOCAL_DIR}{folder.absolute()}"
    if name.startswith((LOCAL_DIR, "/", ".", "~")):
        raise ParamsError(
            f"model {name}: the folder {folder} does not exist, expected a folder in open_clip's local-dir format. "
            "Correct the path."
        )
    if "/" not in name:
        similar = difflib.get_close_matches(name, NAMED_MODELS, 1)
        raise ParamsError(
            f"model {name!r}: expected {', '.join(NAMED_MODELS)}, ARCHITECTURE/WEIGHTS (e.g. "
            f"{NAMED_MODELS[DEFAULT_MODEL].name}), hf-hub:NAME, or a folder."
            f"{f' Did you mean {similar[0]}?' if similar else ' Correct the name.'}"
        )
    return name


def encoder_settings(name: str) -> dict[str, str | None]:
    """Return the settings of the open_clip encoder of a CLIP model.

    Args:
        name: full name of the model.

    >>> encoder_settings("ViT-B-32/laion2b_s34b_b79k")
    {'backend': 'open_clip', 'model': 'ViT-B-32', 'pretrained': 'laion2b_s34b_b79k'}
    """
    model, tag = (name, None) if name.startswith((LOCAL_DIR, HF_HUB)) else name.rsplit("/", 1)
    return {"backend": "open_clip", "model": model, "pretrained": tag}


def model_of_identity(encoder: str) -> str:
    """Return the full name of the CLIP model of an encoder.

    Args:
        encoder: name of the encoder in an index or an embeddings table.

    >>> model_of_identity("open_clip ViT-B-32 laion2b_s34b_b79k"), model_of_identity("open_clip local-dir:/my models")
    ('ViT-B-32/laion2b_s34b_b79k', 'local-dir:/my models')
    """
    name = encoder.removeprefix("open_clip ").strip()
    return name if name.startswith((LOCAL_DIR, HF_HUB)) else "/".join(name.split())
