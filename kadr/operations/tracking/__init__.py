"""Record runs in MLflow, compare them, and register models."""
