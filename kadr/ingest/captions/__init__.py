"""Readers for captions files in different formats. Each format is a class registered under `kadr.caption_readers`."""
