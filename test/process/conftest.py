# SPDX-License-Identifier: Apache-2.0
import pytest

from harness import BUILD, Daemon


def pytest_configure(config):
    for path in ("supervisor/zonesyncd", "supervisor/cli/zonesync", "test/fake/zonesync-cache"):
        if not (BUILD / path).exists():
            pytest.exit(f"{BUILD / path} is missing: build first, or set ZONESYNC_BUILD", 2)


@pytest.fixture
def daemon():
    d = Daemon()
    yield d
    d.close()
