"""Manage the models in use: snapshots, drift, comparison, promotion and rollback."""
