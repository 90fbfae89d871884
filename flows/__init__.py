"""Prefect flows that run DVC stages and kadr commands. The flows compute no results themselves."""
