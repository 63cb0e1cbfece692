"""A flow in the foreground, as python -m flows.<job> runs it, on the Prefect server of the tests."""

import os

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_HOME

from tasks.prefect_server import server_settings


def use_server_of_tests(patch: pytest.MonkeyPatch) -> None:
    """The environment of a command whose PREFECT_API_URL names that server; what the command sets in it goes again."""
    server = {"PREFECT_API_URL": str(PREFECT_API_URL.value()), "PREFECT_HOME": str(PREFECT_HOME.value())}
    patch.setattr(os, "environ", os.environ | server | {"PREFECT_LOGGING_LEVEL": "CRITICAL"})
    server_settings.cache_clear()
