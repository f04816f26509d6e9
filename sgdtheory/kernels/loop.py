"""The loop of a kernel as text: blocks of replicas side by side, each block for all its steps."""

from __future__ import annotations

from collections.abc import Callable

from sgdtheory.kernels import random
from sgdtheory.kernels.calls import call_of, each_row, for_rows, row_index, row_loop, terms_by_rows
from sgdtheory.kernels.draws import (
    as_floats,
    begin,
    draw_kicks,
    draw_sums,
    drawn_averages,
    draws_alone,
    fill,
    primitive_draws,
)
from sgdtheory.kernels.lower import ByRows, Program
from sgdtheory.kernels.text import arguments, assign, at_lane, indent, lanes, names, replicas
from sgdtheory.kernels.workspace import SHUFFLED, WHOLE, drawn_together, point_rows, workspace


def loop(program: Program) -> str:
    """Return the function ``run`` of a kernel."""
    body = [*workspace(program), "for top in range(0, path.shape[0], LANES):", *indent(_block(program))]
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


def _block(program: Program) -> list[str]:
    d, m, _, _, _ = program.sizes
    events = len(program.events.results)
    clear = ["failed[top + lane] = -1", *(f"passed[top + lane, {i}] = -1" for i in range(events))]
    return [
        "here = min(LANES, path.shape[0] - top)",
        f"count = (here + {WHOLE - 1}) & -{WHOLE}  # whole vectors",
        "base = first + top",
        *_start(program),
        *(each_row(m - d, f"s[{d} + {{i}}, lane] = 0.0") if m > d else []),
        *replicas(*clear),
        *(["order[:, :] = np.arange(data.shape[0])", "taken = 0"] if program.sampling in SHUFFLED else []),
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
        return each_row(d, "s[{i}, lane] = points[top + min(lane, here - 1), {i}]")
    draws = program.start
    fills = fill(program, "stream", draws.normals, draws.uniforms)
    fills = [begin("stream", "0", random.START), *fills] if fills else []
    if program.by_rows and program.by_rows.start:
        return [*fills, *row_loop(program, "start", program.by_rows.start, ["s[i, lane]"])]
    call = f"start({arguments(*primitive_draws(program, draws), 'q')})"
    return [*fills, *lanes(assign(at_lane("s", d), call))]


def _outcome(program: Program) -> list[str]:
    """Keep the first step at which a state is not finite, and at which each event is true."""
    state = at_lane("s", program.sizes[1])
    # whether any has failed costs less than to keep who has, and mostly none has
    look = ["bad |= 0 if {} else 1"]
    keep = ["before = failed[top + lane]", "failed[top + lane] = before if (before >= 0) | ({}) else step"]
    if program.by_rows:
        rows, finite = [for_rows(len(state))], "isfinite(s[i, lane])"
    else:
        rows, finite = [], " & ".join(f"isfinite({s})" for s in state)

    def loop_over(lines: list[str], loop: Callable[..., list[str]]) -> list[str]:
        return [*rows, *indent(loop(*(line.format(finite) for line in lines)), len(rows))]

    lines = ["bad = 0", *loop_over(look, lanes), "if bad:", *indent(loop_over(keep, replicas))]
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
    return [*lines, *replicas(assign(events, call_of("happened", program.events, s=state)), *held)]


def _record(program: Program) -> list[str]:
    """Write what is recorded; what comes after a failure is marked so that no mean can miss it."""
    kept = names("r", len(program.recorded.results))
    if not kept:
        return ["pass"]
    if positions_alone(program):
        line = "path[top + lane, row, {i}] = s[{i}, lane] if failed[top + lane] < 0 else np.inf"
        return each_row(len(kept), line, replicas)
    call = call_of("observe", program.recorded, s=at_lane("s", program.sizes[1]))
    write = (f"path[top + lane, row, {i}] = {name} if alive else np.inf" for i, name in enumerate(kept))
    return replicas(assign(kept, call), "alive = failed[top + lane] < 0", *write)


def positions_alone(program: Program) -> bool:
    """Whether what is recorded is the first entries of the state, as it stands."""
    return [str(r) for r in program.recorded.results] == names("s", len(program.recorded.results))


def _step(program: Program) -> list[str]:
    d, m, k, _, _ = program.sizes
    if program.by_rows:
        return _step_by_rows(program, program.by_rows)
    state, at, averages = at_lane("s", m), at_lane(point_rows(program), d), at_lane("m", program.averages)
    look = [] if at == state[:d] else [assign(at, call_of("gradient_at", program.gradient_at, s=state))]
    kicks = draw_kicks(program)
    if program.sampling == "fresh" and k == 0:
        known = assign(averages, call_of("example_terms", program.example_terms, s=at))
        return [*kicks, *lanes(*look, known, *_move(program))]
    if program.sampling == "batch means":
        return [*draw_sums(program), *kicks, *lanes(*look, *drawn_averages(program), *_move(program))]
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
    averages, points, kicks = at_lane("m", program.averages), point_rows(program), draw_kicks(program)
    at, look = at_lane(points, d), row_loop(program, "gradient_at", rows.gradient_at, ["e[i, lane]"])
    look = look if points == "e" else []
    gradient = "m"
    if program.batch_gradient:
        gradient, call = "g", call_of("batch_gradient", program.batch_gradient, s=at, m=averages)
    buffers = (m - d) // d
    targets = ["s[i, lane]", *(f"s[{row_index(d + j, buffers)}, lane]" for j in range(buffers))]
    move = row_loop(program, "step_state", rows.step, targets, {"g": gradient})
    if program.batch_gradient:
        move = [*lanes(assign(at_lane("g", d), call)), *move]
    if program.sampling == "fresh" and k == 0:
        return [*kicks, *look, *terms_by_rows(program, "="), *move]
    if program.sampling == "batch means":
        return [*draw_sums(program), *kicks, *look, *lanes(*drawn_averages(program)), *move]
    clear, mean = (each_row(len(averages), f"m[{{i}}, lane] {change}") for change in ("= 0.0", "/= batch"))
    return [*_begin_batch(program), *look, *clear, *_batch(program), *kicks, *mean, *move]


def _move(program: Program) -> list[str]:
    """Go from averages to the batch gradient, unless that is what they are, and to the next state."""
    d, m, _, _, _ = program.sizes
    state, averages, gradient = at_lane("s", m), at_lane("m", program.averages), at_lane("m", d)
    lines = []
    if program.batch_gradient:
        gradient = names("g", d)
        call = call_of("batch_gradient", program.batch_gradient, s=at_lane(point_rows(program), d), m=averages)
        lines = [assign(gradient, call)]
    kicks = as_floats(program, at_lane("z", program.injected, "late" if program.injected % 2 else ""))
    return [*lines, assign(state, call_of("step_state", program.step, s=state, g=gradient, z=kicks))]


def _begin_batch(program: Program) -> list[str]:
    """Begin the stream of a batch, and a new epoch where one is over; without replacement every batch begins one."""
    purpose = random.INDEX if program.data is None else random.DATA
    # small batches share a stream, as steps with a fixed number of draws do
    lines = (
        []
        if program.sampling == "full batch"
        else [f"if (step - 1) % max({random.SPAN} // batch, 1) == 0:", f"    {begin('stream', 'step', purpose)}"]
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
        gather = each_row(k, "x[{i}, lane] = data[index[lane], {i}]")
        add = terms_by_rows(program) if program.by_rows else lanes(*_add_terms(program, x))
        return ["for b in range(batch):", *indent([*_pick(program), *gather, *add])]
    if program.by_rows:
        return _batch_by_rows(program, program.by_rows)
    together, draws = drawn_together(program), program.data
    fills = fill(program, "stream", together * draws.normals, together * draws.uniforms)
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
        make = lanes(
            assign(at_lane("x", program.sizes[2]), f"example({arguments(*primitive_draws(program, draws), 'p')})")
        )
    fills = fill(program, "stream", draws.normals, draws.uniforms)
    return ["for b in range(batch):", *indent([*fills, *make, *terms_by_rows(program)])]


def _fresh(program: Program, place: int) -> list[str]:
    """Add the terms of a fresh example, the one at this place among those drawn together."""
    draws = program.data
    assert draws
    normals = at_lane("n", (place + 1) * draws.normals)[place * draws.normals :]
    uniforms = at_lane("u", (place + 1) * draws.uniforms)[place * draws.uniforms :]
    if draws_alone(draws):
        return _add_terms(program, as_floats(program, normals))
    x = names("x", program.sizes[2])
    call = f"example({arguments(*as_floats(program, normals), *uniforms, 'p')})"
    return [assign(x, call), *_add_terms(program, x)]


def _add_terms(program: Program, x: list[str]) -> list[str]:
    terms = names("h", program.averages)
    return [
        assign(
            terms,
            call_of("example_terms", program.example_terms, s=at_lane(point_rows(program), program.sizes[0]), x=x),
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
