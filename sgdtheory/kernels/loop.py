"""The loop of a kernel as text: blocks of replicas side by side, each block for all its steps."""

from __future__ import annotations

import sympy as sp

from sgdtheory.kernels import random
from sgdtheory.kernels.lower import Block, ByRows, Draws, Program
from sgdtheory.kernels.rows import FEW, Rows, role, row
from sgdtheory.kernels.text import arguments, assign, at_lane, indent, lanes, names

LANES = 128
"""Replicas advanced together: enough to fill vector registers, few enough for the first-level cache."""

_RETRY_SLOTS = 2**16
"""Where the further trials of a χ² number have their addresses, far from where streams begin."""
_SHUFFLED = ("one epoch", "reshuffle", "without replacement")


def loop(program: Program) -> str:
    """Return the function ``run`` of a kernel."""
    body = [*_workspace(program), f"for top in range(0, path.shape[0], {LANES}):", *indent(_block(program))]
    lines = [
        "key = (u32(words_of_key[0]), u32(words_of_key[1]), u32(words_of_key[2]), u32(words_of_key[3]))",
        "p = constants.copy()",
        *([f"few = points.shape[1] - {program.sizes[0]}  # 0"] if any("few" in line for line in body) else []),
        *body,
    ]
    signature = (
        "words_of_key, first, constants, q, points, data, batch, record, schedule, scheduled, path, failed, passed"
    )
    return f"@compiled\ndef run({signature}):\n" + "".join(f"{line}\n" for line in indent(lines))


# -- where numbers are kept


def _workspace(program: Program) -> list[str]:
    """Cut one array into a row for every number of a replica: that its parts do not overlap, a compiler can see."""
    rows = _rows(program)
    normals: dict[str, int] = {r: rows.pop(r) for r in ("n", "z") if r in rows and program.noise == "float32"}
    lines = [*_cut("work", "np.float64", rows), *_cut("noise", "np.float32", normals)]
    lines += _cut("integers", "np.uint32", {"words": 3, **dict.fromkeys(_streams(program), 4)})
    if program.data is None:
        lines.append(f"index = np.empty({LANES}, np.int64)")
    if program.sampling in _SHUFFLED:
        lines.append(f"order = np.empty(({LANES}, data.shape[0]), np.int64)")
    return lines


def _cut(array: str, dtype: str, rows: dict[str, int]) -> list[str]:
    if not rows:
        return []
    lines, first = [f"{array} = np.empty(({sum(rows.values())}, {LANES}), {dtype})"], 0
    for name, count in rows.items():
        lines.append(f"{name} = {array}[{first}:{first + count}]")
        first += count
    return lines


def _rows(program: Program) -> dict[str, int]:
    """Return how many numbers of each role a replica has: state, point, averages, draws, samples."""
    d, m, k, _, _ = program.sizes
    draws = [(program.start, 1), (program.data, _together(program))]
    counts = {
        "s": m,
        "e": d if _points(program) == "e" else 0,
        "m": program.averages,
        "n": max(_even(times * draw.normals) for draw, times in draws if draw) if program.start or program.data else 0,
        "u": max([times * draw.uniforms for draw, times in draws if draw], default=0),
        "k": max([len(draw.chi_squares) for draw, _ in draws if draw], default=0),
        "z": program.injected * (1 + program.injected % 2),
    }
    if program.data is None:
        counts |= {"u": max(counts["u"], 1), "x": k}
    if program.by_rows:
        counts |= {"x": k, "g": d if program.batch_gradient else 0}
        counts["a"] = len(program.by_rows.terms.totals) if program.by_rows.terms else 0
    return {role: count for role, count in counts.items() if count}


def _points(program: Program) -> str:
    """Name the rows of the points gradients are taken at: those of the coordinates, unless they are others."""
    return "s" if looks_nowhere_else(program) else "e"


def looks_nowhere_else(program: Program) -> bool:
    """Whether the gradient is taken at the coordinates."""
    return [str(e) for e in program.gradient_at.results] == names("s", program.sizes[0])


def _together(program: Program) -> int:
    """Return how many draws of data are made together, so that none of a pair of normal numbers is wasted."""
    shared = program.sampling == "batch means" or not program.by_rows  # by two steps, or by two examples
    return 2 if program.data and program.data.normals % 2 and shared else 1


def _even(count: int) -> int:
    return count + count % 2


def _streams(program: Program) -> list[str]:
    """Return the arrays that hold states of streams: one that begins anew for every use, and those that span steps."""
    sampled = program.data is None and program.sampling != "full batch"
    used = program.start is not None or sampled or (program.data is not None and program.sampling == "fresh")
    spanning = {"sums": program.sampling == "batch means", "kicks": program.injected > 0}
    return (["stream"] if used else []) + [name for name, there in spanning.items() if there]


# -- a block of replicas


def _block(program: Program) -> list[str]:
    d, m, _, _, _ = program.sizes
    events = len(program.events.results)
    clear = ["failed[top + lane] = -1", *(f"passed[top + lane, {i}] = -1" for i in range(events))]
    return [
        f"count = min({LANES}, path.shape[0] - top)",
        "base = first + top",
        *_start(program),
        *(_each(m - d, f"s[{d} + {{i}}, lane] = 0.0") if m > d else []),
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
        return _each(d, "s[{i}, lane] = points[top + lane, {i}]")
    draws = program.start
    fills = [_begin("stream", "0", random.START), *_fills(program, "stream", draws.normals, draws.uniforms)]
    if program.by_rows and program.by_rows.start:
        return [*fills, *row_loop(program, "start", program.by_rows.start, ["s[i, lane]"])]
    call = f"start({arguments(*_primitives(program, draws), 'q')})"
    return [*(fills if draws.normals or draws.uniforms else []), *lanes(assign(at_lane("s", d), call))]


def _outcome(program: Program) -> list[str]:
    """Keep the first step at which a state is not finite, and at which each event is true."""
    state = at_lane("s", program.sizes[1])
    # whether any has failed costs less than to keep who has, and mostly none has
    look = ["bad |= 0 if {} else 1"]
    keep = ["before = failed[top + lane]", "failed[top + lane] = before if (before >= 0) | ({}) else step"]
    if program.by_rows:
        rows, finite = [_for_rows(len(state))], "isfinite(s[i, lane])"
    else:
        rows, finite = [], " & ".join(f"isfinite({s})" for s in state)

    def loop_over(lines: list[str]) -> list[str]:
        return [*rows, *indent(lanes(*(line.format(finite) for line in lines)), len(rows))]

    lines = ["bad = 0", *loop_over(look), "if bad:", *indent(loop_over(keep))]
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
    return [*lines, *lanes(assign(events, _call("happened", program.events, s=state)), *held)]


def _record(program: Program) -> list[str]:
    """Write what is recorded; what comes after a failure is marked so that no mean can miss it."""
    kept = names("r", len(program.recorded.results))
    if not kept:
        return ["pass"]
    if positions_alone(program):
        return _each(len(kept), "path[top + lane, row, {i}] = s[{i}, lane] if failed[top + lane] < 0 else np.inf")
    call = _call("observe", program.recorded, s=at_lane("s", program.sizes[1]))
    write = (f"path[top + lane, row, {i}] = {name} if alive else np.inf" for i, name in enumerate(kept))
    return lanes(assign(kept, call), "alive = failed[top + lane] < 0", *write)


def positions_alone(program: Program) -> bool:
    """Whether what is recorded is the first entries of the state, as it stands."""
    return [str(r) for r in program.recorded.results] == names("s", len(program.recorded.results))


# -- a step


def _step(program: Program) -> list[str]:
    d, m, k, _, _ = program.sizes
    if program.by_rows:
        return _step_by_rows(program, program.by_rows)
    state, at, averages = at_lane("s", m), at_lane(_points(program), d), at_lane("m", program.averages)
    look = [] if at == state[:d] else [assign(at, _call("gradient_at", program.gradient_at, s=state))]
    kicks = _kicks(program)
    if program.sampling == "fresh" and k == 0:
        known = assign(averages, _call("example_terms", program.example_terms, s=at))
        return [*kicks, *lanes(*look, known, *_move(program))]
    if program.sampling == "batch means":
        return [*_sums(program), *kicks, *lanes(*look, *_drawn_averages(program), *_move(program))]
    return [
        *_begin_batch(program),
        *lanes(*look, *(f"{average} = 0.0" for average in averages)),
        *_batch(program),
        *kicks,
        *lanes(*(f"{average} /= batch" for average in averages), *_move(program)),
    ]


def _step_by_rows(program: Program, rows: ByRows) -> list[str]:
    """Take a step in loops over rows wherever these are alike."""
    d, m, k, _, _ = program.sizes
    averages, points, kicks = at_lane("m", program.averages), _points(program), _kicks(program)
    at, look = at_lane(points, d), row_loop(program, "gradient_at", rows.gradient_at, ["e[i, lane]"])
    look = look if points == "e" else []
    gradient = "m"
    if program.batch_gradient:
        gradient, call = "g", _call("batch_gradient", program.batch_gradient, s=at, m=averages)
    buffers = (m - d) // d
    targets = ["s[i, lane]", *(f"s[{_index(d + j, buffers)}, lane]" for j in range(buffers))]
    move = row_loop(program, "step_state", rows.step, targets, {"g": gradient})
    if program.batch_gradient:
        move = [*lanes(assign(at_lane("g", d), call)), *move]
    if program.sampling == "fresh" and k == 0:
        return [*kicks, *look, *_terms_by_rows(program, "="), *move]
    if program.sampling == "batch means":
        return [*_sums(program), *kicks, *look, *lanes(*_drawn_averages(program)), *move]
    clear, mean = (_each(len(averages), f"m[{{i}}, lane] {change}") for change in ("= 0.0", "/= batch"))
    return [*_begin_batch(program), *look, *clear, *_batch(program), *kicks, *mean, *move]


def _terms_by_rows(program: Program, sign: str = "+=") -> list[str]:
    """Add an example's terms, totals first."""
    rows, (d, _, k, _, _) = program.by_rows, program.sizes
    if rows is None or rows.terms is None:
        terms = names("h", program.averages)
        call = _call("example_terms", program.example_terms, s=at_lane(_points(program), d), x=at_lane("x", k))
        return lanes(
            assign(terms, call), *(f"{m} {sign} {h}" for m, h in zip(at_lane("m", len(terms)), terms, strict=True))
        )
    lines, where = [], {"s": _points(program)}
    for i, total in enumerate(rows.terms.totals):
        rest = f"rest{i}({arguments(*_places(program, _fixed(total.rest), where), 'p')})"
        lines += lanes(f"a[{i}, lane], = {rest}")
        lines += row_loop(program, f"term{i}", total.term, [f"a[{i}, lane]"], where, "+=")
    return lines + row_loop(program, "example_terms", rows.terms.rows, ["m[i, lane]"], where, sign)


def row_functions(program: Program) -> dict[str, Rows]:
    """Return what a program of many coordinates calls for each of its rows, by name."""
    rows = program.by_rows
    if rows is None:
        return {}
    looks = None if looks_nowhere_else(program) else rows.gradient_at
    found: dict[str, Rows | None] = {"start": rows.start, "example": rows.example, "gradient_at": looks}
    for i, total in enumerate(rows.terms.totals if rows.terms else ()):
        found |= {f"rest{i}": _fixed(total.rest), f"term{i}": total.term}
    found |= {"example_terms": rows.terms.rows if rows.terms else None, "step_state": rows.step}
    return {name: one for name, one in found.items() if one}


def _fixed(expression: sp.Expr) -> Rows:
    """Return an expression as rows of which there is one."""
    symbols = sorted(expression.free_symbols, key=lambda s: s.name)
    return Rows((expression,), tuple((s, 0) for s in symbols), 1)


def row_loop(
    program: Program,
    name: str,
    rows: Rows,
    targets: list[str],
    where: dict[str, str] | None = None,
    sign: str = "=",
) -> list[str]:
    """Do the same for every row; `where` names the array a role stands in, if it is not that of its letter."""
    call = f"{name}({arguments(*_places(program, rows, where or {}), 'p' if name != 'start' else 'q')})"
    lines = [assign(targets, call)]
    if sign == "+=":
        lines = [f"h, = {call}", f"{targets[0]} += h"]
    return [_for_rows(rows.count), *indent(lanes(*lines))]


def _places(program: Program, rows: Rows, where: dict[str, str]) -> list[str]:
    """Say where the numbers of row i stand."""
    places = []
    for symbol, stride in rows.strides:
        array, at = where.get(role(symbol), role(symbol)), _index(row(symbol), stride)
        if array == "z" and program.injected % 2:
            at += " + late"
        number = f"q[{at}]" if array == "q" else f"{array}[{at}, lane]"
        places += [] if array == "p" else _noise(program, [number]) if array in "nz" else [number]
    return places


def _index(first: int, stride: int) -> str:
    """Write first + stride·i."""
    moving = {0: "", 1: "i"}.get(stride, f"{stride}*i")
    return " + ".join(filter(None, (str(first) if first or not moving else "", moving)))


def _call(name: str, block: Block, **places: list[str]) -> str:
    """Call a function with what it reads, by role where that stands."""
    where = {f"{letter}{i}": place for letter, entries in places.items() for i, place in enumerate(entries)}
    return f"{name}({arguments(*(where[read] for read in block.read(list(where))), 'p')})"


def _each(count: int, line: str) -> list[str]:
    """Do the same to so many rows: written out if they are few."""
    if count <= FEW:
        return lanes(*(line.format(i=i) for i in range(count)))
    return [_for_rows(count), *indent(lanes(line.format(i="i")))]


def _for_rows(count: int) -> str:
    """Loop over rows; their number is no constant of the text, or a compiler would write the loop out again."""
    return f"for i in range({count} + few):"


def _move(program: Program) -> list[str]:
    """Go from averages to the batch gradient, unless that is what they are, and to the next state."""
    d, m, _, _, _ = program.sizes
    state, averages, gradient = at_lane("s", m), at_lane("m", program.averages), at_lane("m", d)
    lines = []
    if program.batch_gradient:
        gradient = names("g", d)
        call = _call("batch_gradient", program.batch_gradient, s=at_lane(_points(program), d), m=averages)
        lines = [assign(gradient, call)]
    kicks = _noise(program, at_lane("z", program.injected, "late" if program.injected % 2 else ""))
    return [*lines, assign(state, _call("step_state", program.step, s=state, g=gradient, z=kicks))]


def _kicks(program: Program) -> list[str]:
    """Draw the normal numbers of the optimizer's own."""
    return _spanning(program, "kicks", random.STEP, "z", program.injected, "late") if program.injected else []


def _sums(program: Program) -> list[str]:
    """Draw what the sums over a batch are made of."""
    assert program.data
    normals, uniforms = program.data.normals, program.data.uniforms
    lines = _spanning(program, "sums", random.DATA, "n", normals, "later")
    lines += [f"fill_uniforms(sums, count, words, u[0:{uniforms}])"] if uniforms else []
    shift = _later(program)
    for i, fewer in enumerate(program.data.chi_squares):
        first = len(program.data.chi_squares)
        z, u = normals - first + i, uniforms - first + i
        retry, degrees = (i + 1) * _RETRY_SLOTS, f"batch - {fewer}" if fewer else "batch"
        row = f"n[{z} + {shift}]" if shift else f"n[{z}]"
        lines.append(
            f"fill_chi_squares(key, base, step, {retry}, {random.DATA}, count, {row}, u[{u}], k[{i}], float({degrees}))"
        )
    return lines


def _drawn_averages(program: Program) -> list[str]:
    assert program.data
    values = _primitives(program, program.data, _later(program))
    return [assign(at_lane("m", program.averages), f"example({arguments(*values, 'batch', 'p')})")]


def _later(program: Program) -> str:
    """Name the shift to the second half of a row of draws, where two steps share it."""
    return "later" if program.sampling == "batch means" and program.data and program.data.normals % 2 else ""


def _spanning(program: Program, stream: str, purpose: int, role: str, count: int, shift: str) -> list[str]:
    """Draw so many normal numbers a step from a stream that spans steps; an odd number for two steps at once."""
    kind = _kind(program)
    begin = [f"if (step - 1) % {random.SPAN} == 0:", f"    {_begin(stream, 'step', purpose)}"]
    if count % 2 == 0:
        return [*begin, f"fill_{kind}({stream}, count, words, {role}[0:{count}])"]
    return [
        *begin,
        f"{shift} = (step - 1) % 2 * {count}",
        f"if {shift} == 0:",
        f"    fill_{kind}({stream}, count, words, {role}[0:{2 * count}])",
    ]


def _begin(stream: str, step: str, purpose: int) -> str:
    return f"begin_stream(key, base, {step}, {purpose}, count, {stream})"


# -- a batch


def _begin_batch(program: Program) -> list[str]:
    """Begin the stream of a batch, and a new epoch where one is over; without replacement every batch begins one."""
    purpose = random.INDEX if program.data is None else random.DATA
    # small batches share a stream, as steps with a fixed number of draws do
    lines = (
        []
        if program.sampling == "full batch"
        else [f"if (step - 1) % max({random.SPAN} // batch, 1) == 0:", f"    {_begin('stream', 'step', purpose)}"]
    )
    if program.sampling == "reshuffle":
        lines += ["if taken + batch > data.shape[0]:", "    taken = 0"]
    return [*lines, "taken = 0"] if program.sampling == "without replacement" else lines


def _batch(program: Program) -> list[str]:
    """Sum the terms of a batch's examples."""
    k = program.sizes[2]
    if program.data is None:
        x = at_lane("x", k)
        # gathers in a loop of their own: one load at a computed address makes a whole loop scalar
        gather = _each(k, "x[{i}, lane] = data[index[lane], {i}]")
        add = _terms_by_rows(program) if program.by_rows else lanes(*_add_terms(program, x))
        return ["for b in range(batch):", *indent([*_pick(program), *gather, *add])]
    if program.by_rows:
        return _batch_by_rows(program, program.by_rows)
    together, draws = _together(program), program.data
    fills = _fills(program, "stream", together * draws.normals, together * draws.uniforms)
    lines = [*fills, *lanes(*_fresh(program, 0))]
    if together == 2:
        lines += ["if b + 1 < batch:", *indent(lanes(*_fresh(program, 1)))]
    return [f"for b in range(0, batch, {together}):" if together > 1 else "for b in range(batch):", *indent(lines)]


def _batch_by_rows(program: Program, rows: ByRows) -> list[str]:
    """Sum the terms of fresh examples, each of many numbers: one at a time."""
    draws = program.data
    assert draws
    if rows.example:
        make = row_loop(program, "example", rows.example, ["x[i, lane]"])
    else:
        make = lanes(assign(at_lane("x", program.sizes[2]), f"example({arguments(*_primitives(program, draws), 'p')})"))
    fills = _fills(program, "stream", draws.normals, draws.uniforms)
    return ["for b in range(batch):", *indent([*fills, *make, *_terms_by_rows(program)])]


def _fresh(program: Program, place: int) -> list[str]:
    """Add the terms of a fresh example, the one at this place among those drawn together."""
    draws = program.data
    assert draws
    normals = at_lane("n", (place + 1) * draws.normals)[place * draws.normals :]
    uniforms = at_lane("u", (place + 1) * draws.uniforms)[place * draws.uniforms :]
    if draws_alone(draws):
        return _add_terms(program, _noise(program, normals))
    x = names("x", program.sizes[2])
    call = f"example({arguments(*_noise(program, normals), *uniforms, 'p')})"
    return [assign(x, call), *_add_terms(program, x)]


def draws_alone(draws: Draws) -> bool:
    """Whether examples are standard normal numbers as they are drawn."""
    return [str(e) for e in draws.block.results] == names("n", draws.normals) and draws.uniforms == 0


def _add_terms(program: Program, x: list[str]) -> list[str]:
    terms = names("h", program.averages)
    return [
        assign(
            terms, _call("example_terms", program.example_terms, s=at_lane(_points(program), program.sizes[0]), x=x)
        ),
        *(f"{average} += {term}" for average, term in zip(at_lane("m", len(terms)), terms, strict=True)),
    ]


def _pick(program: Program) -> list[str]:
    """Choose each lane's sample of the data set."""
    if program.sampling == "full batch":
        return lanes("index[lane] = b")
    draw = "fill_uniforms(stream, count, words, u[0:1])"
    if program.sampling == "with replacement":
        return [draw, *lanes("index[lane] = int(u[0, lane]*data.shape[0])")]
    return [
        draw,
        "# next entry of a uniform order: swap in one of those not yet taken (Fisher and Yates)",
        *lanes(
            "j = taken + int(u[0, lane]*(data.shape[0] - taken))",
            "i = order[lane, j]",
            "order[lane, j] = order[lane, taken]",
            "order[lane, taken] = i",
            "index[lane] = i",
        ),
        "taken += 1",
    ]


# -- draws


def _fills(program: Program, stream: str, normals: int, uniforms: int) -> list[str]:
    """Draw so many normal and uniform numbers from a stream."""
    lines = [f"fill_{_kind(program)}({stream}, count, words, n[0:{_even(normals)}])"] if normals else []
    return lines + ([f"fill_uniforms({stream}, count, words, u[0:{uniforms}])"] if uniforms else [])


def _primitives(program: Program, draws: Draws, shift: str = "") -> list[str]:
    """Name the primitive draws a block reads; each χ² has used up a normal and a uniform number."""
    spent = len(draws.chi_squares)
    normals = _noise(program, at_lane("n", draws.normals - spent, shift))
    return normals + at_lane("u", draws.uniforms - spent) + at_lane("k", spent)


def _noise(program: Program, numbers: list[str]) -> list[str]:
    """Read normal numbers as float64, whatever they are kept in."""
    return [f"float({number})" for number in numbers] if program.noise == "float32" else numbers


def _kind(program: Program) -> str:
    return "single_normals" if program.noise == "float32" else "normals"
