"""Manage the champion (the models in use): data snapshots, drift, model comparison, promotion and rollback."""
