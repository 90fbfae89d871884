"""Read and write files: storage, tables, images, texts, embeddings, fingerprints and presets."""
