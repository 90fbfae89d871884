"""The command `kadr`: one module for each group of commands."""
