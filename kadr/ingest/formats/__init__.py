"""Readers for dataset folders in different formats. Each format is a class registered under `kadr.formats`."""
