"""Vector stores: databases that contain the vectors of the search encoder of an index."""
