"""Checks of the machine and the project, with a fix for each problem. The checks do not change any files."""
