"""CLIP models on the Hugging Face hub: announce a download, and explain what to do without internet access."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from kadr.encoders.weights import HF_HUB, local_folder
from kadr.errors import EncoderError
from kadr.user_folders import user_folders

logger = logging.getLogger(__name__)

_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")  # in the order in which open_clip looks
_FILES_TO_COPY = "--include 'open_clip*' --include '*token*' --include 'vocab*' --include 'merges*'"


@dataclass(frozen=True)
class HubModel:
    """A CLIP model on the hub.

    Attributes:
        repository: repository on the hub, e.g. laion/CLIP-ViT-B-32-laion2B-s34B-b79K.
        files: possible names of the file with the weights. open_clip loads the first that exists.
    """

    repository: str
    files: tuple[str, ...] = _FILES

    def find_weights(self) -> Path | None:
        """Return the path of the weights on this machine, or None if they are not downloaded."""
        from huggingface_hub import try_to_load_from_cache

        folder = user_folders().models
        paths = [try_to_load_from_cache(self.repository, name, folder) for name in self.files]
        return next((Path(path) for path in paths if isinstance(path, str)), None)

    def is_downloaded(self) -> bool:
        """Return whether the weights are on this machine."""
        return self.find_weights() is not None

    def size(self) -> int:
        """Return the size of the weights on the hub in bytes. 0 if the hub does not tell.

        Raises:
            EncoderError: the hub cannot be reached, or has no such model.
        """
        from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
        from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError

        for name in self.files:
            try:
                return get_hf_file_metadata(hf_hub_url(self.repository, name)).size or 0
            except RepositoryNotFoundError as error:
                raise EncoderError(
                    f"{constants.ENDPOINT}/{self.repository} does not exist, or is not public. Correct the name of the "
                    "model."
                ) from error
            except EntryNotFoundError:
                continue
            except Exception as error:  # the HTTP library of huggingface_hub depends on its version
                raise EncoderError(self._explain_offline(error)) from error
        raise EncoderError(
            f"{constants.ENDPOINT}/{self.repository} contains none of {', '.join(self.files)}, so it is not a model in "
            "the format of open_clip. Use another model."
        )

    def _explain_offline(self, error: Exception) -> str:
        from huggingface_hub import constants

        reason = (" ".join(str(error).split()) or type(error).__name__)[:200]
        return (
            f"{self.repository} is not on this machine, and {constants.ENDPOINT} cannot be reached ({reason}). Connect "
            "this machine to the internet and run the command again. Or copy the model from another machine: run "
            f"`hf download {self.repository} {_FILES_TO_COPY} --local-dir FOLDER` there, copy FOLDER to this machine, "
            f"and use it as the model: `kadr index --model FOLDER`, or local-dir:FOLDER in params.yaml. A copy of "
            f"{models_folder()} of another machine works, too."
        )


def models_folder() -> Path:
    """Return the folder of downloaded models: the cache of the Hugging Face hub, or $KADR_HOME/cache/models."""
    if folder := user_folders().models:
        return folder
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def find_hub_model(model: str, pretrained: str | None) -> HubModel | None:
    """Return the hub model of an open_clip model, or None if it is a folder or is not on the hub.

    Args:
        model: `local-dir:FOLDER`, `hf-hub:NAME`, or the name of an open_clip architecture.
        pretrained: open_clip tag of the pretrained weights of an architecture.
    """
    if local_folder(model) is not None:
        return None
    if model.startswith(HF_HUB):
        return HubModel(model.removeprefix(HF_HUB))
    import open_clip

    address = open_clip.get_pretrained_cfg(model.replace("/", "-"), pretrained or "").get("hf_hub")
    if not address:
        return None
    repository, file = os.path.split(address)
    return HubModel(repository, (f"{Path(file).stem}.safetensors", file)) if file else HubModel(repository)


def announce_download(model: str, pretrained: str | None) -> None:
    """Log what will be downloaded, how large it is and where it goes. Do nothing if the model is on this machine.

    Raises:
        EncoderError: the model is not on this machine, and the hub cannot be reached or has no such model.
    """
    hub_model = find_hub_model(model, pretrained)
    if hub_model is None or hub_model.is_downloaded():
        return
    from huggingface_hub import constants

    size = f"{hub_model.size() / 1e6:,.0f} MB"
    name = "/".join(filter(None, (model, pretrained)))
    logger.info(
        "Downloading the CLIP model %s (%s) from %s/%s to %s. This happens only once.",
        name,
        size,
        constants.ENDPOINT,
        hub_model.repository,
        models_folder(),
    )
