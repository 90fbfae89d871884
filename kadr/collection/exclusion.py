"""Exclude files and folders from an index by patterns, as in a .gitignore file."""

import logging
from collections import Counter
from collections.abc import Sequence

import pathspec

from kadr.errors import InputError

logger = logging.getLogger(__name__)


class Exclusion:
    """Patterns of files and folders that are not indexed.

    A pattern without a slash matches names at any depth. A pattern with a slash matches paths relative to an address.
    An absolute path below an address is also accepted.

    Args:
        patterns: patterns with the syntax of a .gitignore file.

    Raises:
        InputError: a pattern is invalid.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self.patterns = tuple(patterns)
        self.counts: Counter[str] = Counter()
        for pattern in self.patterns:
            try:
                pathspec.GitIgnoreSpec.from_lines([pattern])
            except ValueError as error:
                raise InputError(
                    f"--exclude {pattern!r}: {error}. Use a pattern with the syntax of a .gitignore file, such as "
                    "'private/' or '*.gif'."
                ) from error

    def below(self, root: str) -> "RootExclusion":
        """Return the exclusion for the paths below an address.

        Args:
            root: absolute path or URI of the address.
        """
        return RootExclusion(self, root)

    def warn_unused(self) -> None:
        """Log a warning for each pattern that has not excluded any file or folder."""
        for pattern in self.patterns:
            if not self.counts[pattern] and not pattern.startswith("!"):
                logger.warning("--exclude %r matches no file or folder. Check the spelling of the pattern.", pattern)


class RootExclusion:
    """The patterns of an Exclusion for one address."""

    def __init__(self, exclusion: Exclusion, root: str) -> None:
        self._exclusion = exclusion
        prefix = root.rstrip("/") + "/"
        lines = [
            "/" + pattern.removeprefix(prefix) if pattern.startswith(prefix) else pattern
            for pattern in exclusion.patterns
        ]
        self._spec: pathspec.GitIgnoreSpec | None = pathspec.GitIgnoreSpec.from_lines(lines) if lines else None

    def excludes(self, path: str, *, count: bool = True) -> bool:
        """Return whether a file or folder is excluded.

        Args:
            path: path relative to the address. The path of a folder ends with a slash.
            count: whether to count the file or folder for the pattern.
        """
        if self._spec is None:
            return False
        result = self._spec.check_file(path)
        if count and result.include and result.index is not None:
            self._exclusion.counts[self._exclusion.patterns[result.index]] += 1
        return bool(result.include)
