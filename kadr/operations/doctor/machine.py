"""The doctor part's look at the machine: Python, packages, cores, precision, disks, and folders that can be written."""

import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

from kadr.operations.doctor.finding import Finding, note, ok, wrong
from kadr.params import Params

SHOWN = 5  # packages that are named; the others are counted
LEAST_FREE = 2e9  # bytes: what the next stage of a small data set, and DVC's copy of it, may write


def check_python() -> Iterator[Finding]:
    """Whether this Python is one that kadr wants."""
    wanted, found = SpecifierSet(metadata("kadr")["Requires-Python"] or ""), platform.python_version()
    if found in wanted:
        yield ok("python", f"Python {found}")
    else:
        yield wrong(
            "python", f"this is Python {found}, kadr wants {wanted}", "make clean; make PYTHON=python3.11 setup"
        )


def check_packages(lock: Path) -> Iterator[Finding]:
    """Whether the packages that `lock` pins are installed in these versions."""
    try:
        lines = [line.strip() for line in lock.read_text(encoding="utf-8").splitlines()]
        pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    except FileNotFoundError:
        yield wrong("packages", f"{lock}: no such file", f"git checkout {lock}")
        return
    except (OSError, UnicodeDecodeError, InvalidRequirement) as error:
        yield wrong("packages", f"{lock} cannot be read: {error}", f"git checkout {lock}; make setup")
        return
    pins = [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]
    differing = [said for pin in pins if (said := _differs(pin))]
    if differing:
        more = [f"{len(differing) - SHOWN} more"] if len(differing) > SHOWN else []
        yield wrong("packages", f"not as {lock} pins them: {', '.join([*differing[:SHOWN], *more])}", "make setup")
    else:
        yield ok("packages", f"{len(pins)} as {lock} pins them")


def _differs(pin: Requirement) -> str:
    try:
        found = version(pin.name)
    except PackageNotFoundError:
        return f"{pin.name} is missing"
    return "" if pin.specifier.contains(found, prereleases=True) else f"{pin.name} is {found}, not {pin.specifier}"


def check_cores(params: Params) -> Iterator[Finding]:
    """Whether the machine has the cores that the trees are trained with."""
    from kadr.encoders.torch_models import cores

    n, threads = cores(), params.train.num_threads
    if threads > n:
        said = f"train.num_threads is {threads}, but there are {n} cores: slower, with the same result"
        yield note("cores", said, f"kadr use PRESET -S train.num_threads={n} (this trains anew)")
    else:
        yield ok("cores", f"{n}; training uses {threads} (train.num_threads)")


def check_precision() -> Iterator[Finding]:
    """What `precision: auto` takes here, and why."""
    import torch

    from kadr.encoders.torch_models import devices, resolve_precision

    found = devices()
    on = found[0].split(":")[0]
    taken = resolve_precision("auto", on, torch.nn.Identity())
    if on == "cuda":
        said = f"{len(found)} GPU ({torch.cuda.get_device_name(0)}): precision auto takes {taken}"
    elif taken == "bf16":
        said = "no GPU; the CPU multiplies bf16 in hardware: auto takes bf16, and fp32 with batch normalisation"
    else:
        said = "no GPU, and a CPU without bf16 in hardware: precision auto takes fp32"
    yield ok("precision", said)


def check_disks(folders: Sequence[Path]) -> Iterator[Finding]:
    """Whether the disks of `folders` have room."""
    by_disk = {os.stat(there).st_dev: there for there in map(_nearest, reversed(folders))}
    for folder in by_disk.values():
        free = shutil.disk_usage(folder).free
        if free < LEAST_FREE:
            said = f"{free / 1e9:.1f} GB are free on the disk of {folder.resolve()}"
            yield wrong("disk", said, "make room: `dvc gc --workspace` drops old results, `kadr cache gc` old vectors")
        else:
            yield ok("disk", f"{free / 1e9:.0f} GB are free on the disk of {folder.resolve()}")


def check_folders(folders: Sequence[Path]) -> Iterator[Finding]:
    """Whether `folders` (or, where one is not there yet, the nearest above it) can be written."""
    closed = [folder for folder in folders if not os.access(_nearest(folder), os.W_OK | os.X_OK)]
    for folder in closed:
        said = f"{_nearest(folder)} cannot be written by this user"
        yield wrong("folders", said, f"chmod -R u+w {_nearest(folder)}, or have its owner do it")
    if not closed:
        yield ok("folders", f"{', '.join(map(str, folders))} can be written")


def _nearest(folder: Path) -> Path:
    """`folder`, or the nearest one above it that exists."""
    return next((there for there in (folder, *folder.parents) if there.exists()), Path())
