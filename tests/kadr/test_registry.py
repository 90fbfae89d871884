"""Tests of the registry of implementations, which packages register as entry points."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint

import pytest

from kadr import registry
from kadr.errors import ParamsError
from kadr.registry import Registry

ENTRIES = [
    EntryPoint("mean", "statistics:mean", "toy.methods"),
    EntryPoint("broken", "package_that_does_not_exist:method [extra]", "toy.methods"),
]
METHODS: Registry[object] = Registry("toy.methods", "toy.method")


@pytest.fixture(autouse=True)
def entries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "entry_points", lambda group: ENTRIES if group == "toy.methods" else [])
    registry._entry_points.cache_clear()
    yield
    registry._entry_points.cache_clear()


def test_a_registered_implementation_is_loaded_by_name() -> None:
    assert METHODS.names == ["broken", "mean"]
    assert METHODS.load("mean")([1, 3]) == 2


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(ParamsError, match=r"toy\.method is 'median', expected one of broken, mean\."):
        METHODS.load("median")
    with pytest.raises(ValueError, match=r"'median' is not a registered name\. Choose one of broken, mean"):
        METHODS.check("median")
    assert METHODS.check("mean") == "mean"


def test_a_missing_package_is_an_error_with_the_install_command() -> None:
    message = "requires the package package_that_does_not_exist. Install it: pip install .*extra"
    with pytest.raises(ParamsError, match=message):
        METHODS.load("broken")
