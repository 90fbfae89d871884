"""Read a raw dataset folder and return validated tables. Start with `kadr.ingest.pipeline`."""
