"""What the tests of the model share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_searches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of what was found in this run; a large search takes 15 s, and several tests read its report."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "searches"
    folder.mkdir(exist_ok=True)
    return folder
