"""Find images by words, with a relevance model learned from people's ratings."""

from importlib.metadata import version

__version__ = version("kadr")
