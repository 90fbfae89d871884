"""Hyperparameter search with Optuna in nested cross-validation."""
