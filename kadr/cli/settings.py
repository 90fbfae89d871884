"""Load the settings of a command, inside and outside of a project folder."""

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kadr.errors import ParamsError
from kadr.project import PROJECT
from kadr.user_folders import user_folders

if TYPE_CHECKING:
    from kadr.params import SearchParams


def load_settings(index: Path, model: str | None = None) -> "SearchParams":
    """Return the settings for an index: those of its champion or project, or the user's settings for its model.

    Args:
        index: path of the index. The index does not have to exist.
        model: name of the CLIP model, for an index outside of a project. None for the model of the index, or the
            default model of the user.

    Raises:
        ParamsError: a setting is unknown or invalid, or a model is given in a project.
    """
    from kadr.params import load_params, load_user_params

    params = PROJECT.index_artifacts(index).params
    if PROJECT.exists or params.is_file():
        if model is not None:
            raise ParamsError(
                f"--model {model}: in a project, {params} sets the model. Set the encoder in embed_images.encoders and "
                "embed_texts.encoders there (see docs/encoders.md), or run the command outside of the project."
            )
        return load_params(params)
    recorded, encoder = read_model(index)
    return load_user_params(user_folders().settings, model or recorded, encoder)


def read_model(index: Path) -> tuple[str | None, str]:
    """Return the CLIP model of an index, and the name of its search encoder.

    The model is None, and the name is that of a new index, if the index does not exist or has no CLIP model.
    """
    from kadr.params.clip_models import model_of_identity

    with suppress(OSError, ValueError, KeyError, TypeError):
        description = json.loads((index / "index.json").read_text(encoding="utf-8"))
        encoder = description["encoder"]
        return model_of_identity(description["encoders"][encoder]["encoder"]), encoder
    return None, "clip"
