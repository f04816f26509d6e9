"""One deterministic hypothesis profile, and one folder of generated kernels for the whole test run."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

from hypothesis import settings

settings.register_profile("deterministic", derandomize=True, deadline=None, database=None)
settings.load_profile("deterministic")

if "SGDTHEORY_CACHE_DIR" not in os.environ:  # the workers of a parallel run inherit it from their controller
    _folder = tempfile.mkdtemp(prefix="sgdtheory-tests-")
    os.environ["SGDTHEORY_CACHE_DIR"] = _folder
    atexit.register(shutil.rmtree, _folder, ignore_errors=True)
