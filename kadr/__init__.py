"""Search images by text, with a relevance model trained on human ratings."""

from importlib.metadata import version

__version__ = version("kadr")
