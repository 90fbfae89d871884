"""Readers of raw dataset folders, one module per format."""
