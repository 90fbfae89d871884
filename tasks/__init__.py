"""The stages' room: one module per DVC stage. It reads files, calls kadr, writes files and records metrics."""
