"""One module per DVC stage. Each reads files, calls kadr, writes files and records metrics."""
