"""The library room: what is computed. It never imports prefect, dvc or mlflow."""

__version__ = "0.1.0"
