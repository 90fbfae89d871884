"""Commands that only make sense in a project folder, and the message that they print elsewhere."""

from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from kadr.errors import InputError
from kadr.project import PROJECT


class ProjectCommand(TyperCommand):
    """A command that works only in a project folder. Its help works everywhere."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises:
            InputError: the working directory is not a project folder.
        """
        if not PROJECT.exists:
            raise InputError(
                f"{Path.cwd()} contains no {PROJECT.params}, but `{ctx.command_path}` works only in a project folder, "
                "which is a clone of the kadr repository. Run the command in such a folder. To search your own photos "
                "without a project, run `kadr index FOLDER` and `kadr search QUERY`."
            )
        return super().invoke(ctx)
