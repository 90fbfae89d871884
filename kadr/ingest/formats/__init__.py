"""Readers for the formats of dataset folders. Each format is one class and one `kadr.formats` entry point."""
