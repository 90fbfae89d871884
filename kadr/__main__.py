"""`python -m kadr`: the command `kadr`."""

from kadr.cli.main import app

app(prog_name="kadr")
