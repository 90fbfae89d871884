"""Record and compare MLflow runs, and register models in MLflow."""
