"""Detect the kind of a dataset that stores images in containers."""

import logging
from pathlib import Path
from typing import Any

from kadr.errors import InputError
from kadr.ingest.containers.container import Container
from kadr.registry import Registry

logger = logging.getLogger(__name__)

CONTAINERS: Registry[Any] = Registry("kadr.containers", "the kind of the dataset")
"""Registry of the kinds of containers."""

_ARCHIVES = (".zip", ".rar", ".7z")


def detect_container(source: Path) -> Container:
    """Return the container class that can read a dataset.

    Args:
        source: file or folder of the dataset.

    Raises:
        InputError: the source does not exist, or no known kind of dataset fits.
    """
    if not source.exists():
        raise InputError(
            f"{source}: the file or folder does not exist. Expected a dataset on this machine. Correct the path, or "
            "copy a remote dataset first with `kadr fetch`."
        )
    containers = {name: _load_container(name) for name in CONTAINERS.names}
    fitting = [name for name, container in containers.items() if container.recognises(source)]
    if not fitting:
        layouts = "".join(f"\n  {name}: {container.layout}" for name, container in containers.items())
        files = sorted(path.name for path in source.iterdir())[:12] if source.is_dir() else [source.name]
        archives = [name for name in files if name.lower().endswith(_ARCHIVES)]
        fix = f"Extract {', '.join(archives[:3])} first, and import the extracted folder. " if archives else ""
        if not archives and any(name.lower().endswith(".parquet") for name in files):
            fix = "The Parquet files contain no images. If they contain URLs, download the images with img2dataset. "
        raise InputError(
            f"{source}: no known kind of dataset. It contains {', '.join(files) or 'no files'}. Known kinds:{layouts}\n"
            f"{fix or 'Correct the path. '}For a table of captions beside your own images, use `kadr import captions`."
        )
    name = min(fitting, key=lambda name: (containers[name].priority, name))
    logger.info("%s: reading the dataset as %s", source, name)
    return containers[name]


def _load_container(name: str) -> Container:
    """Import the class of a registered kind and return an instance."""
    instance: Container = CONTAINERS.load(name)()
    return instance
