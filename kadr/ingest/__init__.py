"""The library room's ingest part: a raw folder becomes checked tables, and what is bad is set aside."""

from kadr.ingest.formats.registry import FORMS
from kadr.ingest.pipeline import Ingested, ingest

__all__ = ["FORMS", "Ingested", "ingest"]
