# SPDX-License-Identifier: Apache-2.0
import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import zone as z  # noqa: E402


@pytest.fixture
def zone(request):
    # Socket paths have at most 107 bytes: pytest's own directories are too deep for them.
    base = pathlib.Path(tempfile.mkdtemp(prefix="zs-"))
    zn = z.Zone(base)
    yield zn
    try:
        zn.close()
        bad = z.sanitizer_reports(base)
        assert not bad, "\n".join(bad)
    finally:
        zn.redis.stop()
        for n in zn.nodes:
            if n.process:
                n.process.kill()
        if getattr(request.node, "failed", False):
            print(f"kept: {base}")
        else:
            shutil.rmtree(base, ignore_errors=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if outcome.get_result().failed:
        item.failed = True
