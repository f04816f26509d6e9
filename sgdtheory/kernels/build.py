"""Turn generated source into a loaded module, once: a file is named by its content, so that none can go stale."""

from __future__ import annotations

import atexit
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from sgdtheory.errors import ArgumentError
from sgdtheory.kernels import machine
from sgdtheory.kernels.library import library_name, library_source

_LOCK = threading.Lock()


class Kernel(NamedTuple):
    """A loaded kernel."""

    run: Callable[..., None]


_LOADED: dict[str, Kernel] = {}


def digest(source: str) -> str:
    """Return the name of a kernel: a hash of its text and of what compiles it."""
    identity = "\n".join((source, f"numba {version_of('numba')}", f"python {platform.python_version()}"))
    return hashlib.sha256(identity.encode()).hexdigest()[:20]


@cache
def version_of(package: str) -> str:
    """Return the version of an installed package, which is not imported for it."""
    from importlib.metadata import distribution, version

    # `version` itself loads the standard library's parser of electronic mail to read one line
    found = re.search(r"^Version: *(.+?)\s*$", distribution(package).read_text("METADATA") or "", re.MULTILINE)
    return found[1] if found else version(package)


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


def build(source: str) -> Kernel:
    """Load generated source as a kernel, compiling it unless the cache has it.

    Parameters
    ----------
    source : str
        From `emit`.

    Returns
    -------
    Kernel
        With the function ``run``.
    """
    with _LOCK:  # one thread compiles, the others wait for it
        name = digest(source)
        if name not in _LOADED:
            path = cache_folder() / f"kernel_{name}.py"
            _write(path, source.encode())
            _LOADED[name] = Kernel(_machine_code(path) or _compiled(path, source))
        return _LOADED[name]


def _machine_code(path: Path) -> Callable[..., None] | None:
    """Return the kernel of a file as machine code, if it was compiled on such a processor before."""
    kept = _beside(path)
    return machine.unpack(kept.read_bytes()) if kept.exists() else None


def _compiled(path: Path, source: str) -> Callable[..., None]:
    """Compile a file, and keep the machine code beside it; it stays as it is where numba is told not to compile."""
    if library_name() in source and library_name() not in sys.modules:
        library = cache_folder() / f"{library_name().removeprefix('sgdtheory_')}.py"
        _write(library, library_source().encode())
        _load(library)
    run: Callable[..., None] = _load(path).run
    packed = machine.pack(run)
    if packed is None:
        return run
    native = machine.unpack(packed)
    if native is None:
        raise RuntimeError(f"the machine code of {path} calls functions this system does not have")
    _write(_beside(path), packed)
    return native


def _beside(path: Path) -> Path:
    return path.with_suffix(f".{machine.name()}.code")


def _write(path: Path, content: bytes) -> None:
    """Write a file unless it stands there as it should, atomically: another process may be doing the same."""
    if not path.exists() or path.read_bytes() != content:  # somebody may have edited it
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"sgdtheory_{path.stem}", path)
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
