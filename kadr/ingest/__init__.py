"""Read a raw dataset folder and return validated tables."""

from kadr.ingest.pipeline import IngestResult, ingest

__all__ = ["IngestResult", "ingest"]
