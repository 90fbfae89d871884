"""One module for each DVC stage. Each module reads files, calls kadr, writes files and records metrics."""
