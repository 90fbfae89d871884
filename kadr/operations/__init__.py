"""MLflow runs, champion models, hyperparameter tuning, batch scoring and project diagnosis.

No other package of kadr imports mlflow, dvc or optuna.
"""
