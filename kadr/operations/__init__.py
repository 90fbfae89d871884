"""Operate a project over time: MLflow runs, champion models, tuning, batch scoring and diagnosis.

This package is the only part of kadr that imports mlflow, dvc or optuna.
"""
