"""HTML reports about a pipeline run: input data, ratings, model metrics, predictions and search examples."""
