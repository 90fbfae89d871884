"""The library room's ingest part: a raw folder becomes checked tables, and what is bad is set aside."""

from kadr.ingest.forms import FORMS
from kadr.ingest.whole import Ingested, ingest

__all__ = ["FORMS", "Ingested", "ingest"]
