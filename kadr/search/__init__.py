"""The library room's search: from words to the photos that show what they say."""

from kadr.search.grid import draw_grid
from kadr.search.load import load_searcher
from kadr.search.searcher import Match, Searcher

__all__ = ["Match", "Searcher", "draw_grid", "load_searcher"]
