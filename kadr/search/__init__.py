"""The library room's search: from words and photos to the photos that show what they say."""

from kadr.search.grid import draw_grid
from kadr.search.load import load_searcher
from kadr.search.match import Match
from kadr.search.query import Filters, Query, Term, parse_query
from kadr.search.searcher import Searcher

__all__ = ["Filters", "Match", "Query", "Searcher", "Term", "draw_grid", "load_searcher", "parse_query"]
