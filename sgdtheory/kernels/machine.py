"""Machine code of compiled kernels, kept in a file and loaded without the compiler: a warm start imports no numba.

Importing numba and filling its tables takes most of a second, whatever is compiled. Its own cache needs both even to
load what it has; llvmlite alone loads an object file in some milliseconds. numba goes as far as optimised LLVM text,
and no machine code of a kernel is made but here.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from llvmlite import __version__ as llvmlite_version
from llvmlite import binding as llvm

_ENTRY = "sgdtheory_kernel"
_SETTINGS: dict[str, Any] = {"opt": 3, "reloc": "pic", "codemodel": "small", "jit": True}
"""With constants near the code, where an operand reaches them: anywhere else, each takes an instruction more."""
_SCALARS = {"int64": ctypes.c_int64, "float64": ctypes.c_double}


@dataclass(frozen=True)
class Argument:
    """What one argument of a kernel is: a number, or an array in C order.

    Parameters
    ----------
    dtype : str
        As numpy names it.
    dimensions : int
        0 for a number.
    """

    dtype: str
    dimensions: int

    @property
    def kinds(self) -> list[type]:
        """The C types it is handed over as, in numba's convention."""
        if self.dimensions == 0:
            return [_SCALARS[self.dtype]]
        pointer, whole = ctypes.c_void_p, ctypes.c_ssize_t
        # an array is: its owner (none: the caller keeps it alive), parent, size, item size, data, shape, strides
        return [pointer, pointer, whole, whole, pointer, *[whole] * (2 * self.dimensions)]

    def values(self, given: Any) -> list[Any]:
        """Return them for a value, which is checked first: machine code would not notice."""
        if self.dimensions == 0:
            return [given]
        fits = isinstance(given, np.ndarray) and (given.dtype, given.ndim) == (self.dtype, self.dimensions)
        if not fits or not given.flags.c_contiguous or not given.flags.writeable:
            raise TypeError(f"a kernel wants a writable {self.dimensions}-d array of {self.dtype} in C order")
        return [None, None, given.size, given.itemsize, given.ctypes.data, *given.shape, *given.strides]


def pack(run: Any) -> bytes | None:
    """Return the machine code of a function that numba has turned into LLVM's text, with what is needed to call it.

    None for what numba has not touched, or is not of numbers and arrays.
    """
    arguments = _arguments(run)
    if arguments is None:
        return None
    (signature,) = run.nopython_signatures
    overload = run.overloads[signature.args]
    shared = overload.library._get_module_for_linking()  # optimised
    module = _alone(llvm.parse_bitcode(shared.as_bitcode()), overload.fndesc.llvm_func_name)
    code: bytes = _target_machine().emit_object(module)
    head = {
        "arguments": [(a.dtype, a.dimensions) for a in arguments],
        "called": [f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")],
        "sha256": hashlib.sha256(code).hexdigest(),
    }
    return json.dumps(head).encode() + b"\n" + code


def unpack(packed: bytes) -> Callable[..., None] | None:
    """Return the function again, or None if the bytes are damaged or it calls what is not here."""
    line, _, code = packed.partition(b"\n")
    try:
        head = json.loads(line)
    except ValueError:
        return None
    if hashlib.sha256(code).hexdigest() != head["sha256"]:
        return None
    # its own memory manager keeps code and constants together, as the small code model wants them
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine(), True)
    if not all(map(_found, head["called"])):  # only an engine sees the C library
        return None
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return _function(engine, [Argument(*entry) for entry in head["arguments"]])


@cache
def name() -> str:
    """Name what machine code depends on: the processor, the code generator and numba's settings."""
    settings = sorted((name, value) for name, value in os.environ.items() if name.startswith("NUMBA_"))
    facts = (_SETTINGS, llvmlite_version, llvm.get_process_triple(), llvm.get_host_cpu_name(), _features(), settings)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]


def _function(engine: llvm.ExecutionEngine, arguments: Sequence[Argument]) -> Callable[..., None]:
    kinds = [kind for argument in arguments for kind in argument.kinds]
    prototype = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *kinds)  # it lets go of the GIL
    native = prototype(engine.get_function_address(_ENTRY))

    def run(*given: Any) -> None:
        values = [v for argument, value in zip(arguments, given, strict=True) for v in argument.values(value)]
        result, error = ctypes.c_void_p(), ctypes.c_void_p()
        if native(ctypes.addressof(result), ctypes.addressof(error), *values) != 0:
            raise MemoryError("a kernel could not get its workspace")  # nothing else can fail in one

    run.engine = engine  # type: ignore[attr-defined]  # the code lives as long as its engine
    return run


def _arguments(run: Any) -> list[Argument] | None:
    """Return the arguments of a compiled function, or None if it is no such function or of other things."""
    signatures = getattr(run, "nopython_signatures", [])
    if len(signatures) != 1 or str(signatures[0].return_type) != "none":
        return None
    arguments = []
    for kind in signatures[0].args:
        array = hasattr(kind, "layout")
        argument = Argument(str(kind.dtype if array else kind), kind.ndim if array else 0)
        if (array and (kind.layout != "C" or not kind.mutable)) or (not array and argument.dtype not in _SCALARS):
            return None
        arguments.append(argument)
    return arguments


def _alone(module: llvm.ModuleRef, name: str) -> llvm.ModuleRef:
    """Return the module with one function left, and what it needs; the wrappers for Python need all of numba."""
    for function in module.functions:
        if not function.is_declaration:
            function.linkage = "external" if function.name == name else "internal"
    module.get_function(name).name = _ENTRY
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, llvm.create_pass_builder(_target_machine(), llvm.create_pipeline_tuning_options()))
    return module


def _found(name: str) -> bool:
    """Whether machine code may call a function: one of the C library, or of numba's memory management."""
    if llvm.address_of_symbol(name) is None and name.startswith("NRT_"):
        from numba.core.runtime import _nrt_python as memory  # type: ignore[attr-defined]

        address = memory.c_helpers.get(name.removeprefix("NRT_"))
        if address is not None:
            llvm.add_symbol(name, address)
    return llvm.address_of_symbol(name) is not None


def _features() -> str:
    try:
        return str(llvm.get_host_cpu_features().flatten())
    except RuntimeError:  # not known on some processors
        return ""


def _target_machine() -> llvm.TargetMachine:
    """Return a code generator set as numba sets its own, but for the code model."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=_features(), **_SETTINGS)
