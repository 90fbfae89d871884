"""Read and write files: storage, table schemas, image decoding, embeddings, fingerprints."""
