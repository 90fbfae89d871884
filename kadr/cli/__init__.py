"""The command line interface `kadr`. Each module defines a group of commands."""
