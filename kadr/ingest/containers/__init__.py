"""Readers for datasets that store images in containers, and their import into a plain folder.

Each kind of container is a class registered under `kadr.containers`.
"""
