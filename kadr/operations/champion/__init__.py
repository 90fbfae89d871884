"""The models in use: snapshots, drift, challenge, promotion and rollback."""
