"""Search images by text, with a relevance model trained on human ratings."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kadr.client import AsyncClient, Client

__version__ = version("kadr")
__all__ = ["AsyncClient", "Client", "__version__"]


def __getattr__(name: str) -> object:
    """Import the clients when they are used first, because they need the extra `client`."""
    if name in ("AsyncClient", "Client"):
        return getattr(import_module("kadr.client"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
