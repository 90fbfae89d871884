"""HTML reports of a pipeline run: input data, ratings, model metrics, predictions and search examples."""
