"""Look after a project over time. The only package that imports mlflow, dvc or optuna."""
