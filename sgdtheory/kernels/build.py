"""Turn generated source into a loaded module, once: a file is named by its content, so that none can go stale."""

from __future__ import annotations

import atexit
import hashlib
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path
from types import ModuleType

from sgdtheory.errors import ArgumentError
from sgdtheory.kernels.library import library_name, library_source

_LOCK = threading.Lock()
_LOADED: dict[str, ModuleType] = {}


def digest(source: str) -> str:
    """Return the name of a kernel: a hash of its text and of what compiles it."""
    from importlib.metadata import version

    identity = "\n".join((source, f"numba {version('numba')}", f"python {platform.python_version()}"))
    return hashlib.sha256(identity.encode()).hexdigest()[:20]


@cache
def cache_folder() -> Path:
    """Return the folder generated kernels live in.

    ``SGDTHEORY_CACHE_DIR`` if set, else the user's cache folder, else (where neither can be written) a temporary one.

    Raises
    ------
    ArgumentError
        If ``SGDTHEORY_CACHE_DIR`` is set and cannot be written.
    """
    chosen = os.environ.get("SGDTHEORY_CACHE_DIR")
    if chosen:
        folder = Path(chosen).expanduser().absolute()  # a relative one must survive a change of directory
        if not _writable(folder):
            raise ArgumentError(
                "SGDTHEORY_CACHE_DIR", chosen, "a folder that can be written", "choose another or unset it"
            )
        return folder
    import platformdirs

    usual = Path(platformdirs.user_cache_dir("sgdtheory", appauthor=False)) / "kernels"
    return usual if _writable(usual) else _temporary_folder()


def _temporary_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="sgdtheory-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def build(source: str) -> ModuleType:
    """Load generated source as a module, compiling it unless the cache has it.

    Parameters
    ----------
    source : str
        From `emit`.

    Returns
    -------
    module
        With the function ``run``.
    """
    with _LOCK:  # one thread compiles, the others wait for it
        if library_name() in source:
            _module(library_name(), library_source())
        return _module(f"sgdtheory_kernel_{digest(source)}", source)


def _module(name: str, source: str) -> ModuleType:
    if name not in _LOADED:
        _LOADED[name] = _load(_store(source, name), name)
    return _LOADED[name]


def _store(source: str, name: str) -> Path:
    """Write the file unless it stands there as it should, atomically: another process may be doing the same."""
    path = cache_folder() / f"{name.removeprefix('sgdtheory_')}.py"
    if not path.exists() or path.read_bytes() != source.encode():  # somebody may have edited it
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            file.write(source.encode())
        os.replace(temporary, path)
    return path


def _load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load the generated kernel {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # numba's cache finds the environment of a compiled function by module name
    spec.loader.exec_module(module)
    return module


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
