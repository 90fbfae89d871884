"""Predict the relevance of images and texts, one by one or in large tables."""
