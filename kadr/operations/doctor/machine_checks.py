"""Check the machine: Python, packages, cores, precision, disks and write permissions."""

import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

from kadr.operations.doctor.finding import Finding, note, ok, problem

MAX_LISTED = 5
"""Maximum number of packages that a message lists by name.

For further packages, the message gives only their number.
"""

MIN_FREE_BYTES = 2e9
"""Minimum free disk space in bytes.

One pipeline stage needs this space for a small dataset, including the DVC cache.
"""


def check_python() -> Iterator[Finding]:
    """Check that kadr supports this version of Python."""
    supported, running = SpecifierSet(metadata("kadr")["Requires-Python"] or ""), platform.python_version()
    if running in supported:
        yield ok("python", f"Python {running}")
    else:
        yield problem(
            "python",
            f"The Python version is {running}, expected {supported}.",
            "make clean; make PYTHON=python3.11 setup",
        )


def check_packages(lock: Path) -> Iterator[Finding]:
    """Check that the installed packages have the pinned versions.

    Args:
        lock: file with one pinned requirement per line.
    """
    try:
        lines = [line.strip() for line in lock.read_text(encoding="utf-8").splitlines()]
        pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    except FileNotFoundError:
        yield problem("packages", f"{lock} is missing.", f"git checkout {lock}")
        return
    except (OSError, UnicodeDecodeError, InvalidRequirement) as error:
        yield problem("packages", f"{lock} cannot be read: {error}", f"git checkout {lock}; make setup")
        return
    pins = [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]
    differences = [difference for pin in pins if (difference := _version_difference(pin))]
    if differences:
        more = [f"{len(differences) - MAX_LISTED} more"] if len(differences) > MAX_LISTED else []
        listed = ", ".join([*differences[:MAX_LISTED], *more])
        yield problem("packages", f"Packages differ from {lock}: {listed}.", "make setup")
    else:
        yield ok("packages", f"{len(pins)} packages match {lock}")


def _version_difference(pin: Requirement) -> str:
    """Return a description of the version difference, or an empty string if the installed version matches the pin."""
    try:
        installed = version(pin.name)
    except PackageNotFoundError:
        return f"{pin.name} is missing"
    if pin.specifier.contains(installed, prereleases=True):
        return ""
    return f"{pin.name} is {installed}, expected {pin.specifier}"


def check_cores(num_threads: int) -> Iterator[Finding]:
    """Check that the machine has at least one core for each training thread.

    Args:
        num_threads: number of training threads, from train.num_threads.
    """
    from kadr.encoders.torch_models import available_cores

    n = available_cores()
    if num_threads > n:
        yield note(
            "cores",
            f"train.num_threads is {num_threads}, but this machine has {n} cores. "
            "Training takes longer but produces the same model.",
            f"kadr use PRESET -S train.num_threads={n} (the model is then retrained)",
        )
    else:
        yield ok("cores", f"{n} cores; training uses {num_threads} threads (train.num_threads)")


def check_precision() -> Iterator[Finding]:
    """Report the precision that `precision: auto` selects on this machine."""
    import torch

    from kadr.encoders.torch_models import resolve_precision, torch_devices

    available = torch_devices()
    device = available[0].split(":")[0]
    precision = resolve_precision("auto", device, torch.nn.Identity())
    if device == "cuda":
        message = f"{len(available)} GPU ({torch.cuda.get_device_name(0)}); `precision: auto` selects {precision}"
    elif precision == "bf16":
        message = (
            "no GPU; the CPU has bf16 instructions, so `precision: auto` selects bf16, "
            "or fp32 for encoders with batch normalisation"
        )
    else:
        message = "no GPU, and the CPU has no bf16 instructions; `precision: auto` selects fp32"
    yield ok("precision", message)


def check_disks(folders: Sequence[Path]) -> Iterator[Finding]:
    """Check that the disk of each folder has at least MIN_FREE_BYTES of free space."""
    folder_by_disk = {os.stat(folder).st_dev: folder for folder in map(_nearest_existing, reversed(folders))}
    for folder in folder_by_disk.values():
        free = shutil.disk_usage(folder).free
        if free < MIN_FREE_BYTES:
            yield problem(
                "disk",
                f"The disk of {folder.resolve()} has {free / 1e9:.1f} GB of free space, "
                f"expected at least {MIN_FREE_BYTES / 1e9:.0f} GB.",
                "free up disk space: `dvc gc --workspace` deletes old results, `kadr cache gc` deletes old vectors",
            )
        else:
            yield ok("disk", f"{free / 1e9:.0f} GB of free space on the disk of {folder.resolve()}")


def check_folders(folders: Sequence[Path]) -> Iterator[Finding]:
    """Check that this user can write to the folders. For a missing folder, check its nearest existing parent."""
    read_only = [folder for folder in folders if not os.access(_nearest_existing(folder), os.W_OK | os.X_OK)]
    for folder in map(_nearest_existing, read_only):
        yield problem(
            "folders",
            f"This user cannot write to {folder}.",
            f"chmod -R u+w {folder}, or ask the owner of the folder",
        )
    if not read_only:
        yield ok("folders", f"this user can write to {', '.join(map(str, folders))}")


def _nearest_existing(folder: Path) -> Path:
    """Return the folder if it exists, otherwise its nearest existing parent."""
    return next((path for path in (folder, *folder.parents) if path.exists()), Path())
