"""MLflow: runs, lineage, comparison of runs, and the model registry."""
