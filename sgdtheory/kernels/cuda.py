"""Translate a generated kernel into CUDA C++: one replica a thread, every line the one the CPU runs.

The text of a kernel, and that of the random numbers and functions it calls, uses a small part of Python: arithmetic on
words and floats, tuples, arrays with their shapes, loops over ranges. Each of these has one counterpart in C++, so the
GPU's kernel is not written a second time. A block has one lane here instead of 128, and every thread takes a block.

The result is also plain C++20, for a compiler without CUDA: then the host runs it, thread after thread.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from functools import cache

from sgdtheory.kernels import functions, random

Scope = set[str]
_BINARY: dict[type, str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "/", ast.Mod: "%",
    ast.BitOr: "|", ast.BitAnd: "&", ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>",
}  # fmt: skip
_COMPARE: dict[type, str] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
_UNARY: dict[type, str] = {ast.USub: "-", ast.Not: "!"}
_TYPES = {"np.float64": "double", "np.float32": "float", "np.uint32": "uint32", "np.int64": "int64"}
_CASTS = {"float": "double", "np.float64": "double", "int": "int64", "u32": "uint32", "i32": "int32", "f32": "float"}
_LIBC = ("acos", "asin", "atan", "cos", "cosh", "erf", "pow", "sin", "sinh", "sqrt", "tan")
_CALLS = {
    **{name: f"::{name}" for name in _LIBC},
    "abs": "::fabs", "np.floor": "::floor", "min": "lesser", "max": "greater",
}  # fmt: skip
_CONSTANTS = {"inf": "INFINITE", "np.inf": "INFINITE", "nan": "NOT_A_NUMBER"}
_VIEWS = {"words_of_key": ("int64", 1), "constants": ("double", 1), "q": ("double", 1), "points": ("double", 2),
          "data": ("double", 2), "record": ("int64", 1), "schedule": ("double", 2), "scheduled": ("int64", 1),
          "path": ("double", 3), "failed": ("int64", 1), "passed": ("int64", 2)}  # fmt: skip
"""The arrays a kernel is handed, by name: what they hold, and their dimensions."""


def translate(source: str, parameters: int) -> str:
    """Return the CUDA C++ of a kernel.

    Parameters
    ----------
    source : str
        As `emit` prints it for Python.
    parameters : int
        How many parameters it has; each thread keeps its own.

    Returns
    -------
    str
        With one entry, ``kernel``, whose arguments are those of ``run``, an array as its address and its shape, and
        after them the memory for orders of samples, one row a thread.
    """
    module = ast.parse(source)
    legend = ast.get_docstring(module) or ""
    own = [node for node in module.body if isinstance(node, ast.FunctionDef)]
    names = {n.id for node in own for n in ast.walk(node) if isinstance(n, ast.Name)}
    called = _closure(names)
    sizes = sorted({len(n.elts) for node in (*called, *own) for n in ast.walk(node) if isinstance(n, ast.Tuple)} | {1})
    parts = [
        "\n".join(f"// {line}".rstrip() for line in legend.splitlines()),
        _PREAMBLE,
        "namespace kernels {",
        f"constexpr int64 LANES = 1, PARAMETERS = {max(1, parameters)};",
        *map(_tuple_type, sizes),
        *(_function(node) for node in (*called, *own)),
        "}  // namespace kernels",
        _entry(),
    ]
    return "\n\n".join(parts) + "\n"


@cache
def _library() -> dict[str, ast.FunctionDef]:
    """Return every function a kernel may call, by name, in an order in which none comes before what it calls."""
    ours = (*random.FUNCTIONS, *functions.FUNCTIONS)
    trees = [ast.parse(textwrap.dedent(inspect.getsource(f))).body[0] for f in ours]
    return {tree.name: tree for tree in trees if isinstance(tree, ast.FunctionDef)}


def _closure(names: set[str]) -> list[ast.FunctionDef]:
    """Return the library's functions of these names and all that they call."""
    found = set(names)
    for name, tree in reversed(_library().items()):
        if name in found:
            found |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    return [tree for name, tree in _library().items() if name in found]


def _tuple_type(size: int) -> str:
    """Return a tuple of so many values: a struct, how it is made, and how one of it is got."""
    types = ", ".join(f"class A{i}" for i in range(size))
    names, given = ", ".join(f"A{i}" for i in range(size)), ", ".join(f"A{i} a{i}" for i in range(size))
    members, values = " ".join(f"A{i} v{i};" for i in range(size)), ", ".join(f"a{i}" for i in range(size))
    got = f"HERE auto get(const Tuple{size}<{names}>& t)"
    getters = "\n".join(
        f"template<int I, {types}> requires (I == {i}) {got} {{ return t.v{i}; }}"
        for i in range(size if size <= _GOT else 0)
    )
    return (
        f"template<{types}> struct Tuple{size} {{ {members} }};\n"
        f"template<{types}> HERE auto tuple({given}) {{ return Tuple{size}<{names}>{{{values}}}; }}\n{getters}"
    ).rstrip()


_GOT = 4
"""Longer tuples are only taken apart, never indexed."""


def _function(tree: ast.FunctionDef) -> str:
    arguments = [a.arg for a in tree.args.args]
    if tree.name == "run":
        kinds = {**{n: f"View<{t}, {d}>" for n, (t, d) in _VIEWS.items()}, "first": "int64", "batch": "int64"}
        given = [f"{kinds[name]} {name}" for name in arguments]
        given += ["int64 thread", "int64 threads", "int64* scratch"]
        head = f"HERE void run({', '.join(given)})"
    else:
        head = f"HERE auto {tree.name}({', '.join(f'auto {name}' for name in arguments)})"
        if not any(isinstance(n, ast.Return) for n in ast.walk(tree)):
            head = head.replace("HERE auto", "HERE void")
    body = _Body().block(tree.body, set(arguments))
    return "\n".join([f"{head} {{", *(f"    {line}" for line in body), "}"])


class _Body:
    """Translates the statements of one function."""

    def __init__(self) -> None:
        self.taken_apart = 0

    def block(self, statements: Sequence[ast.stmt], scope: Scope) -> list[str]:
        """Return lines; names first assigned here are declared here."""
        inner = set(scope)
        return [line for statement in statements for line in self.statement(statement, inner)]

    def statement(self, node: ast.stmt, scope: Scope) -> Iterator[str]:
        if isinstance(node, ast.Return) and node.value:
            yield f"return {_expression(node.value)};"
        elif isinstance(node, ast.AugAssign):
            yield f"{_expression(node.target)} {_BINARY[type(node.op)]}= {_expression(node.value)};"
        elif isinstance(node, ast.Assign):
            yield from self.assign(node.targets[0], node.value, scope)
        elif isinstance(node, ast.For):
            yield from self.loop(node, scope)
        elif isinstance(node, (ast.If, ast.While)):
            yield f"{'if' if isinstance(node, ast.If) else 'while'} ({_expression(node.test)}) {{"
            yield from (f"    {line}" for line in self.block(node.body, scope))
            yield "}"
        elif not isinstance(node, ast.Pass) and not (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ):
            if not isinstance(node, ast.Expr):
                raise TypeError(f"no C++ for {ast.unparse(node)}")
            yield f"{_expression(node.value)};"

    def assign(self, target: ast.expr, value: ast.expr, scope: Scope) -> Iterator[str]:
        if isinstance(target, ast.Tuple):
            self.taken_apart += 1
            whole = f"parts{self.taken_apart}"
            yield f"auto {whole} = {_expression(value)};"
            for i, part in enumerate(target.elts):
                if ast.unparse(part) == "_":
                    continue
                yield f"{self.place(part, scope)} = {whole}.v{i};"
        elif (name := ast.unparse(target)) in ("here", "count"):
            scope.add(name)
            yield f"constexpr int64 {name} = LANES;  // no thread's block is cut short"
        elif ast.unparse(target) == "order[:, :]":
            yield "for (int64 i = 0; i < order.shape(1); i++) order(0, i) = i;"
        elif _is_call(value, "np.empty"):
            yield from self.array(ast.unparse(target), value, scope)
        elif ast.unparse(value) == "constants.copy()":
            yield "double own[PARAMETERS];"
            yield "for (int64 i = 0; i < constants.shape(0); i++) own[i] = constants(i);"
            yield "View<double, 1> p{own, {constants.shape(0)}};"
            scope.add("p")
        else:
            yield f"{self.place(target, scope)} = {_expression(value)};"

    def array(self, name: str, value: ast.expr, scope: Scope) -> Iterator[str]:
        """Give a thread an array: in registers where its indices are known, else in memory of its own."""
        assert isinstance(value, ast.Call)
        size, kind = value.args[0], _TYPES[ast.unparse(value.args[1])]
        shape = [_expression(e) for e in (size.elts if isinstance(size, ast.Tuple) else [size])]
        scope.add(name)
        if name == "order":
            yield f"View<int64, 2> order{{scratch + thread * data.shape(0), {{{', '.join(shape)}}}}};"
        else:
            yield f"{kind} own_{name}[{' * '.join(shape)}];"
            yield f"View<{kind}, {len(shape)}> {name}{{own_{name}, {{{', '.join(shape)}}}}};"

    @staticmethod
    def place(target: ast.expr, scope: Scope) -> str:
        """Return where a value goes; a name not seen before is declared."""
        if not isinstance(target, ast.Name) or target.id in scope:
            return _expression(target)
        scope.add(target.id)
        return f"auto {target.id}"

    def loop(self, node: ast.For, scope: Scope) -> Iterator[str]:
        assert isinstance(node.target, ast.Name)
        assert isinstance(node.iter, ast.Call)
        name, bounds = node.target.id, [_expression(a) for a in node.iter.args]
        low, high, step = bounds if len(bounds) == 3 else (*bounds, "1") if len(bounds) == 2 else ("0", *bounds, "1")
        if name == "top":  # the blocks: each thread takes its own, then those a round further on
            low, step = "thread", "threads"
        yield f"for (int64 {name} = {low}; {name} < {high}; {name} += {step}) {{"
        yield from (f"    {line}" for line in self.block(node.body, scope | {name}))
        yield "}"


def _expression(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return _constant(node.value)
    if isinstance(node, (ast.Name, ast.Attribute)):
        name = ast.unparse(node)
        return _CONSTANTS.get(name, name)
    if isinstance(node, ast.BinOp):
        return f"({_expression(node.left)} {_BINARY[type(node.op)]} {_expression(node.right)})"
    if isinstance(node, ast.UnaryOp):
        return f"({_UNARY[type(node.op)]}{_expression(node.operand)})"
    if isinstance(node, ast.Compare):
        return f"({_expression(node.left)} {_COMPARE[type(node.ops[0])]} {_expression(node.comparators[0])})"
    if isinstance(node, ast.BoolOp):
        word = " && " if isinstance(node.op, ast.And) else " || "
        return f"({word.join(map(_expression, node.values))})"
    if isinstance(node, ast.IfExp):
        return f"({_expression(node.test)} ? {_expression(node.body)} : {_expression(node.orelse)})"
    if isinstance(node, ast.Tuple):
        return f"tuple({', '.join(map(_expression, node.elts))})"
    if isinstance(node, ast.Subscript):
        return _element(node)
    if isinstance(node, ast.Call):
        return _call(node)
    raise TypeError(f"no C++ for {ast.unparse(node)}")


def _constant(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"int64({value})" if isinstance(value, int) else repr(value)  # of a float, the shortest that is it


def _element(node: ast.Subscript) -> str:
    array, index = ast.unparse(node.value), node.slice
    if array.endswith(".shape"):
        return f"{array}({ast.unparse(index)})"
    if isinstance(index, ast.Slice) and index.lower and index.upper:
        return f"{array}.rows({_expression(index.lower)}, {_expression(index.upper)})"
    if isinstance(index, ast.Constant):
        return f"get<{ast.unparse(index)}>({array})"
    if isinstance(index, ast.UnaryOp):  # from the end
        return f"{array}({array}.shape(0) - {_expression(index.operand)})"
    places = index.elts if isinstance(index, ast.Tuple) else [index]
    return f"{array}({', '.join(map(_expression, places))})"


def _call(node: ast.Call) -> str:
    name, arguments = ast.unparse(node.func), ", ".join(_expression(a) for a in node.args)
    if name in _CASTS:
        return f"{_CASTS[name]}({arguments})"
    if name not in _library():
        name = _CALLS.get(name, name)
    return f"{name}({arguments})"


def _is_call(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == name


def _entry() -> str:
    """Return the function a launch names: views made of addresses and shapes, and the number of this thread."""
    order = ("words_of_key", "first", "constants", "q", "points", "data", "batch", "record", "schedule", "scheduled",
             "path", "failed", "passed")  # fmt: skip
    given, handed = [], []
    for name in order:
        if name not in _VIEWS:
            given.append(f"int64 {name}")
            handed.append(name)
            continue
        kind, dimensions = _VIEWS[name]
        sizes = [f"{name}{i}" for i in range(dimensions)]
        given += [f"{kind}* {name}", *(f"int64 {size}" for size in sizes)]
        handed.append(f"{{{name}, {{{', '.join(sizes)}}}}}")
    text = ", ".join((*given, "int64* scratch"))
    call = ", ".join((*handed, "THIS_THREAD", "ALL_THREADS", "scratch"))
    return f'extern "C" GLOBAL void kernel({text}) {{\n    kernels::run({call});\n}}'


_PREAMBLE = """\
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define HERE __device__ inline
#define GLOBAL __global__
#define THIS_THREAD (int64(blockIdx.x) * blockDim.x + threadIdx.x)
#define ALL_THREADS (int64(gridDim.x) * blockDim.x)
#else  // no CUDA: one thread of the host does the work of all
#include <cmath>
#include <cstring>
#define HERE inline
#define GLOBAL
#define THIS_THREAD 0
#define ALL_THREADS 1
#endif

using int64 = long long;
using int32 = int;
using uint32 = unsigned int;

namespace kernels {
template<class T, int D> struct View {
    T* at;
    int64 sizes[D];
    HERE int64 shape(int i) const { return sizes[i]; }
    HERE auto rows(int64 low, int64 high) const {
        static_assert(D == 2);
        return View{at + low * sizes[1], {high - low, sizes[1]}};
    }
    HERE decltype(auto) operator()(int64 i) const {
        if constexpr (D == 1) return (at[i]);
        else return View<T, 1>{at + i * sizes[1], {sizes[1]}};
    }
    HERE T& operator()(int64 i, int64 j) const { return at[i * sizes[1] + j]; }
    HERE T& operator()(int64 i, int64 j, int64 k) const { return at[(i * sizes[1] + j) * sizes[2] + k]; }
};
template<int I, class T, int D> HERE decltype(auto) get(const View<T, D>& view) { return view(I); }
HERE int64 lesser(int64 a, int64 b) { return a < b ? a : b; }
HERE int64 greater(int64 a, int64 b) { return a > b ? a : b; }
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
HERE int64 bits(double x) { return __double_as_longlong(x); }
HERE double float_of(int64 i) { return __longlong_as_double(i); }
HERE int32 bits32(float x) { return __float_as_int(x); }
HERE float single_of(int64 i) { return __int_as_float(int32(i)); }
#else
template<class To, class From> inline To same_bits(From from) { To to; std::memcpy(&to, &from, sizeof to); return to; }
HERE int64 bits(double x) { return same_bits<int64>(x); }
HERE double float_of(int64 i) { return same_bits<double>(i); }
HERE int32 bits32(float x) { return same_bits<int32>(x); }
HERE float single_of(int64 i) { return same_bits<float>(int32(i)); }
#endif
#define INFINITE float_of(0x7ff0000000000000LL)
#define NOT_A_NUMBER float_of(0x7ff8000000000000LL)
HERE double fma(double a, double b, double c) { return ::fma(a, b, c); }
HERE float fma(float a, float b, float c) { return ::fmaf(a, b, c); }
HERE bool isfinite(double x) { return ((bits(x) >> 52) & 0x7ff) != 0x7ff; }
}  // namespace kernels"""
