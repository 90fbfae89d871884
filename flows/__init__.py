"""Prefect flows that run DVC stages and kadr commands. The flows themselves do not compute results."""
