"""Predict the relevance of image-text pairs, in memory or in large tables."""
