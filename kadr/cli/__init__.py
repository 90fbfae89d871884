"""The command line `kadr`: one module per group of commands."""
