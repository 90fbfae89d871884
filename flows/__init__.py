"""Prefect flows: they decide when and where DVC stages and kadr commands run, and compute nothing themselves."""
