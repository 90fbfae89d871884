"""File formats of dataset folders: one module per format, registered as an entry point of the group kadr.formats."""
