"""The library room's search: from words and photos to the photos that show what they say."""

from kadr.search.grid import draw_grid
from kadr.search.query import Filters, Query, Term, parse_query
from kadr.search.results import Match
from kadr.search.searcher import Searcher
from kadr.search.searcher_loading import load_searcher

__all__ = ["Filters", "Match", "Query", "Searcher", "Term", "draw_grid", "load_searcher", "parse_query"]
