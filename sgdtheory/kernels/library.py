"""What every compiled kernel calls, as one module of generated text: random numbers, functions, and what compiles them.

It is compiled once and cached under the hash of its text. A kernel imports it by that name, so that none can be stale,
and only what is the kernel's own is compiled with it; what it calls is inlined all the same.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from functools import cache

from sgdtheory.kernels import functions, interleave, random

MATH = "acos, asin, atan, cos, cosh, erf, inf, isfinite, nan, pow, sin, sinh, sqrt, tan"
"""What kernels use of `math`."""
PRIMITIVES = "bits, bits32, f32, float_of, fma, i32, single_of, u32"
"""Operations on words and floats that neither Python nor numba has under one name."""
_ENTRIES = (
    random.begin_stream,
    random.fill_uniforms,
    random.fill_normals,
    random.fill_single_normals,
    random.fill_chi_squares,
    functions.exp,
    functions.log,
    functions.tanh,
)
"""What kernels call, and what is therefore cached compiled; the rest is inlined into these."""
ENTRIES = tuple(function.__name__ for function in _ENTRIES)

_IMPORTS = f"""
import re
from math import {MATH}

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core.cgutils import normalize_ir_text
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.extending import intrinsic
"""

_HEAD = f"""
class Interleaved(JITCodeLibrary):
    def add_ir_module(self, module):
        text = interleaved(normalize_ir_text(str(module)), {interleave.VECTORS})
        marked = binding.parse_assembly(text)
        marked.name = module.name
        marked.verify()
        self.add_llvm_module(marked)


class Optimised(Interleaved):  # and left as text: `machine` makes code of a kernel, with all that is inlined in it
    codegen = property(lambda self: self)  # asked for to fill in what a call from Python reads, and there is none
    set_env = staticmethod(lambda name, environment: None)

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name):
        self._ensure_finalized()
        return 0


class Cached(Compiler):
    library = Interleaved

    def define_pipelines(self):
        state = self.state
        state.library = self.library(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return super().define_pipelines()


class Kernel(Cached):
    library = Optimised



# inlined by force: a call left standing would keep a loop over replicas from becoming vector instructions;
# no wrappers: nobody calls these from Python, and the wrappers cost half the compile time; nor is there to rewrite
_options = {{
    "error_model": "numpy", "no_rewrites": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "nogil": True,
}}
inline = njit(forceinline=True, pipeline_class=Kernel, **_options)
cached = njit(forceinline=True, pipeline_class=Cached, cache=True, **_options)
compiled = njit(
    "void(i8[::1], i8, f8[::1], f8[::1], f8[:, ::1], f8[:, ::1], i8, i8[::1], f8[:, ::1], i8[::1], "
    "f8[:, :, ::1], i8[::1], i8[:, ::1])",
    pipeline_class=Kernel, **_options,
)


@intrinsic
def u32(context, x):
    def generate(_, builder, signature, arguments):
        narrow = signature.args[0].bitwidth <= 32
        return arguments[0] if narrow else builder.trunc(arguments[0], ir.IntType(32))

    return types.uint32(x), generate


@intrinsic
def i32(context, x):
    def generate(_, builder, signature, arguments):
        narrow = signature.args[0].bitwidth <= 32
        return arguments[0] if narrow else builder.trunc(arguments[0], ir.IntType(32))

    return types.int32(x), generate


@intrinsic
def fma(context, a, b, c):
    return a(a, b, c), lambda _, builder, signature, arguments: builder.fma(*arguments)


f32 = np.float32


@intrinsic
def bits32(context, x):
    return types.int32(types.float32), lambda _, builder, signature, a: builder.bitcast(a[0], ir.IntType(32))


@intrinsic
def single_of(context, i):
    def generate(_, builder, signature, arguments):
        narrow = signature.args[0].bitwidth <= 32
        word = arguments[0] if narrow else builder.trunc(arguments[0], ir.IntType(32))
        return builder.bitcast(word, ir.FloatType())

    return types.float32(i), generate


@intrinsic
def bits(context, x):
    return types.int64(types.float64), lambda _, builder, signature, a: builder.bitcast(a[0], ir.IntType(64))


@intrinsic
def float_of(context, i):
    return types.float64(types.int64), lambda _, builder, signature, a: builder.bitcast(a[0], ir.DoubleType())
"""


@cache
def library_source() -> str:
    """Return the text of the library."""
    ours = (*random.FUNCTIONS, *functions.FUNCTIONS)
    written = (f"@{'cached' if f in _ENTRIES else 'inline'}\n{_plain_source(f)}" for f in ours)
    legend = '"""Generated: random numbers and functions that kernels inline."""'
    parts = [legend, _IMPORTS, _plain_source(interleave.interleaved), _HEAD, *written]
    return "\n\n".join(part.strip("\n") + "\n" for part in parts)


@cache
def library_name() -> str:
    """Return the name kernels import the library by: what it is called changes with every letter of it."""
    return f"sgdtheory_library_{hashlib.sha256(library_source().encode()).hexdigest()[:20]}"


def _plain_source(function: object) -> str:
    """Return a function's source without its docstring and annotations."""
    text = inspect.getsource(function)  # type: ignore[arg-type]
    head, body = re.split(r"\) -> .*:\n", text, maxsplit=1)
    head = re.sub(r": [\w.]+(\[[\w.]+\])?(?=[,\n]|$)", "", head)
    body = re.sub(r'^    """.*?"""\n', "", body, flags=re.DOTALL)
    return f"{head}):\n{body}"
