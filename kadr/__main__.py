"""Entry point of `python -m kadr`, which runs the command `kadr`."""

from kadr.cli.main import app

app(prog_name="kadr")
