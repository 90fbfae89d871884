"""Run git in the working directory."""

import subprocess
from contextlib import suppress

from kadr.errors import KadrError


class GitError(KadrError):
    """A git command failed, or git is not installed."""


def run_git(*arguments: str) -> str:
    """Run git and return its output without surrounding white space.

    Raises:
        GitError: git is not installed, or the command fails.
    """
    command = f"`git {' '.join(arguments)}`"
    try:
        process = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    except FileNotFoundError as error:
        raise GitError(f"{command} failed: git is not installed. Install git.") from error
    if process.returncode:
        raise GitError(f"{command} failed: {process.stderr.strip()}")
    return process.stdout.strip()


def try_git(*arguments: str) -> str | None:
    """Run git and return its output without surrounding white space, or None if `run_git` raises GitError."""
    with suppress(GitError):
        return run_git(*arguments)
    return None
