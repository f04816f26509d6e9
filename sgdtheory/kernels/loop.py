"""The loop of a kernel as text: blocks of replicas side by side, each block for all its steps."""

from __future__ import annotations

from functools import partial

from sgdtheory.kernels import random
from sgdtheory.kernels.lower import Draws, Program
from sgdtheory.kernels.text import arguments, assign, at_lane, indent, lanes, names, primitives

LANES = 128
"""Replicas advanced together: enough to fill vector registers, few enough for the first-level cache."""

_GRADES = {"float64": 2, "float32": 4}
"""How many normal numbers four random words give."""
_SPARES = ["spare", "spare1", "spare2"]
"""Where numbers go that nobody wants: several, since a loop that writes one array under two names is not vectorised."""
_RETRY_SLOTS = 2**16
"""Where the further trials of a χ² number have their addresses, far from the first ones."""
_SHUFFLED = ("one epoch", "reshuffle", "without replacement")


def loop(program: Program) -> str:
    """Return the function ``run`` of a kernel."""
    lines = [
        "key = (u32(words_of_key[0]), u32(words_of_key[1]), u32(words_of_key[2]), u32(words_of_key[3]))",
        "p = constants.copy()",
        *_workspace(program),
        f"for top in range(0, path.shape[0], {LANES}):",
        *indent(_block(program)),
    ]
    signature = (
        "words_of_key, first, constants, q, points, data, batch, record, schedule, scheduled, path, failed, passed"
    )
    return f"@compiled\ndef run({signature}):\n" + "".join(f"{line}\n" for line in indent(lines))


def _workspace(program: Program) -> list[str]:
    d, m, k, _, _ = program.sizes
    sampled = program.data is None
    drawn: set[str] = set()
    for draws in filter(None, (program.start, program.data)):
        together = _together(program, draws) if draws is program.data else 1
        drawn |= {
            *names("n", together * draws.normals),
            *names("u", draws.uniforms),
            *names("k", len(draws.chi_squares)),
        }
    floats = [*names("s", m), *names("e", d), *names("g", d), *names("z", program.injected)]
    floats += [*sorted(drawn | ({"u0"} if sampled else set())), *(names("x", k) if sampled else [])]
    floats += _SPARES if program.noise == "float32" else _SPARES[:1]
    return [
        f"words = np.empty((4, {LANES}), np.uint32)",
        *(f"{name} = np.empty({LANES})" for name in floats),
        *([f"index = np.empty({LANES}, np.int64)"] if sampled else []),
        *([f"order = np.empty(({LANES}, data.shape[0]), np.int64)"] if program.sampling in _SHUFFLED else []),
    ]


def _block(program: Program) -> list[str]:
    d, m, _, _, _ = program.sizes
    events = len(program.events.results)
    clear = [*(f"s{i}[lane] = 0.0" for i in range(d, m)), "failed[top + lane] = -1"]
    clear += [f"passed[top + lane, {i}] = -1" for i in range(events)]
    return [
        f"count = min({LANES}, path.shape[0] - top)",
        "base = first + top",
        *_start(program),
        *lanes(*clear),
        *(["order[:, :] = np.arange(data.shape[0])", "taken = 0"] if program.sampling in _SHUFFLED else []),
        "row = 0",
        "for step in range(record[-1] + 1):",
        "    for i in range(scheduled.shape[0]):",
        "        p[scheduled[i]] = schedule[i, step]",
        "    if step > 0:",
        *indent(_step(program), 2),
        *indent(_outcome(program)),
        "    if step == record[row]:",
        *indent(_record(program), 2),
        "        row += 1",
    ]


def _start(program: Program) -> list[str]:
    d = program.sizes[0]
    if program.start is None:
        return lanes(*(f"s{i}[lane] = points[top + lane, {i}]" for i in range(d)))
    call = f"start({arguments(*at_lane(primitives(program.start)), 'q')})"
    return [*_draw(program, program.start, random.START, "0", "0"), *lanes(assign(at_lane(names("s", d)), call))]


def _outcome(program: Program) -> list[str]:
    """Keep the first step at which a state is not finite, and at which each event is true."""
    state = names("s", program.sizes[1])
    finite = " & ".join(f"isfinite({s})" for s in at_lane(state))
    # written without a branch, so that the loop becomes vector instructions
    lines = lanes(
        "before = failed[top + lane]",
        f"failed[top + lane] = before if (before >= 0) | ({finite}) else step",
    )
    events = names("c", len(program.events.results))
    if not events:
        return lines
    held = [
        line
        for i, c in enumerate(events)
        for line in (
            f"before = passed[top + lane, {i}]",
            f"passed[top + lane, {i}] = step if (before < 0) & {c} & (failed[top + lane] < 0) else before",
        )
    ]
    return [*lines, *lanes(assign(events, f"happened({arguments(*at_lane(state), 'p')})"), *held)]


def _record(program: Program) -> list[str]:
    """Write what is recorded; what comes after a failure is marked so that no mean can miss it."""
    kept = names("r", len(program.recorded.results))
    if not kept:
        return ["pass"]
    call = f"observe({arguments(*at_lane(names('s', program.sizes[1])), 'p')})"
    write = (f"path[top + lane, row, {i}] = {name} if alive else np.inf" for i, name in enumerate(kept))
    return lanes(assign(kept, call), "alive = failed[top + lane] < 0", *write)


def _step(program: Program) -> list[str]:
    d, m, k, _, _ = program.sizes
    state, e, g, z = names("s", m), names("e", d), names("g", d), names("z", program.injected)
    at = assign(at_lane(e), f"gradient_at({arguments(*at_lane(state), 'p')})")
    move = assign(at_lane(state), f"step_state({arguments(*at_lane(state + g + z), 'p')})")
    noise = _normals(program, z, random.STEP, "step", "0")
    if program.data and program.sampling == "batch means":
        x = names("x", k)
        source = assign(x, f"example({arguments(*at_lane(primitives(program.data)), 'batch', 'p')})")
        gradient = assign(at_lane(g), f"example_gradient({arguments(*at_lane(e), *x, 'p')})")
        return [*_draw(program, program.data, random.DATA, "step", "0"), *noise, *lanes(at, source, gradient, move)]
    if program.sampling == "fresh" and k == 0:
        gradient = assign(at_lane(g), f"example_gradient({arguments(*at_lane(e), 'p')})")
        return [*noise, *lanes(at, gradient, move)]
    return [
        *_begin_batch(program),
        *lanes(at, *(f"{name} = 0.0" for name in at_lane(g))),
        *_batch(program),
        *noise,
        *lanes(*(f"{name} /= batch" for name in at_lane(g)), move),
    ]


def _begin_batch(program: Program) -> list[str]:
    """Begin a new epoch where one is over; without replacement every batch begins one."""
    if program.sampling == "reshuffle":
        return ["if taken + batch > data.shape[0]:", "    taken = 0"]
    return ["taken = 0"] if program.sampling == "without replacement" else []


def _batch(program: Program) -> list[str]:
    """Sum the gradients of a batch's examples."""
    d, _, k, _, _ = program.sizes
    if program.data is None:
        x, h = at_lane(names("x", k)), names("h", d)
        # gathers in a loop of their own: one load at a computed address makes a whole loop scalar
        gather = lanes(*(f"{name} = data[index[lane], {i}]" for i, name in enumerate(x)))
        return ["for b in range(batch):", *indent([*_pick(program), *gather, *lanes(*_gradient(program, x, h))])]
    together = _together(program, program.data)
    if together == 1:
        draws = _draw(program, program.data, random.DATA, "step", "b")
        return ["for b in range(batch):", *indent([*draws, *lanes(*_fresh(program, 0))])]
    draw = partial(_normals, program, names("n", together * program.data.normals), random.DATA, "step")
    rest = [
        line
        for i in range(together - 1)
        for line in (f"if batch % {together} > {i}:", *indent(lanes(*_fresh(program, i))))
    ]
    return [
        f"for b in range(batch // {together}):",
        *indent([*draw("b"), *lanes(*(line for i in range(together) for line in _fresh(program, i)))]),
        f"if batch % {together} > 0:",
        *indent([*draw(f"batch // {together}"), *rest]),
    ]


def _together(program: Program, draws: Draws) -> int:
    """Return how many examples share one draw of random words, so that none of its numbers is wasted."""
    size = _GRADES[program.noise]
    shared = draws.normals > 0 and draws.uniforms == 0 and size % draws.normals == 0
    return size // draws.normals if shared else 1


def _fresh(program: Program, place: int) -> list[str]:
    """Add the gradient of a fresh example, the one at this place among those drawn together."""
    assert program.data
    d, _, k, _, _ = program.sizes
    first = place * program.data.normals
    numbers = [f"n{first + i}" for i in range(program.data.normals)] + names("u", program.data.uniforms)
    x = names("x", k)
    return [assign(x, f"example({arguments(*at_lane(numbers), 'p')})"), *_gradient(program, x, names("h", d))]


def _gradient(program: Program, x: list[str], h: list[str]) -> list[str]:
    e = at_lane(names("e", len(h)))
    return [
        assign(h, f"example_gradient({arguments(*e, *x, 'p')})"),
        *(f"g{i}[lane] += {name}" for i, name in enumerate(h)),
    ]


def _pick(program: Program) -> list[str]:
    """Choose each lane's sample of the data set."""
    if program.sampling == "full batch":
        return lanes("index[lane] = b")
    draw = f"fill_uniforms(key, base, step, b, {random.INDEX}, count, words, u0, spare)"
    if program.sampling == "with replacement":
        return [draw, *lanes("index[lane] = int(u0[lane]*data.shape[0])")]
    return [
        draw,
        "# next entry of a uniform order: swap in one of those not yet taken (Fisher and Yates)",
        *lanes(
            "j = taken + int(u0[lane]*(data.shape[0] - taken))",
            "i = order[lane, j]",
            "order[lane, j] = order[lane, taken]",
            "order[lane, taken] = i",
            "index[lane] = i",
        ),
        "taken += 1",
    ]


def _draw(program: Program, draws: Draws, stream: int, step: str, slot: str) -> list[str]:
    """Draw the primitives of a block, each pair at its own slot."""
    calls = -(-draws.normals // _GRADES[program.noise]) + -(-draws.uniforms // 2)
    slot = f"{slot}*{calls}" if calls > 1 and slot != "0" else slot
    lines = _normals(program, names("n", draws.normals), stream, step, slot)
    lines += _fill("uniforms", 2, names("u", draws.uniforms), stream, step, slot, len(lines))
    for i, fewer in enumerate(draws.chi_squares):
        z, u = f"n{draws.normals - len(draws.chi_squares) + i}", f"u{draws.uniforms - len(draws.chi_squares) + i}"
        retry, degrees = (i + 1) * _RETRY_SLOTS, f"batch - {fewer}" if fewer else "batch"
        lines.append(f"fill_chi_squares(key, base, {step}, {retry}, {stream}, count, {z}, {u}, k{i}, float({degrees}))")
    return lines


def _normals(program: Program, targets: list[str], stream: int, step: str, slot: str) -> list[str]:
    """Fill arrays with standard normals, two of full precision or four of float32 grade at a time."""
    kind = "single_normals" if program.noise == "float32" else "normals"
    return _fill(kind, _GRADES[program.noise], targets, stream, step, slot)


def _fill(kind: str, size: int, targets: list[str], stream: int, step: str, slot: str, done: int = 0) -> list[str]:
    """Fill arrays so many at a time, each group at its own slot, counted on from those already done."""
    lines = []
    for call, first in enumerate(range(0, len(targets), size), done):
        group = targets[first : first + size]
        group += _SPARES[: size - len(group)]
        address = slot if not call else str(call) if slot == "0" else f"{slot} + {call}"
        lines.append(f"fill_{kind}(key, base, {step}, {address}, {stream}, count, words, {arguments(*group)})")
    return lines
