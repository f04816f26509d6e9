"""Measure the engine against other ways to do the same work: numpy, PyTorch, JAX, diffrax, torchsde, C.

Everybody does the same work in one run (`benchmark_peers/task.py` says what). First, everybody's ends are compared with
ours in mean and variance: who disagrees is named and not timed, and the exit status is 1. Then everybody runs once in
each of several rounds; times are medians over rounds, and ratios are medians of the ratios within a round, so that a
machine that slows down slows everybody. Ours is compared like with like: with a peer of the same precision of noise,
where there is one. Peers are optional: one that is not installed is skipped by name. With ``--device gpu`` the works
that have peers are done on the graphics card, by us, PyTorch and JAX, beside our own kernel on the processor.

    python scripts/benchmark.py [--quick] [--device gpu] [--only WORK ...] [--json FILE] [--markdown FILE] [...]
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from benchmark_peers import c_peer, ours, task
from benchmark_peers.fresh_process import DENSE, first_calls
from benchmark_peers.task import FULL, QUICK, Competitor, Moments, Size

from sgdtheory.errors import ArgumentError
from sgdtheory.kernels import device as gpu
from sgdtheory.simulation.provenance import versions

PEERS = {
    "numpy": "numpy_peer",
    "torch": "torch_peer",
    "jax": "jax_peer",
    "diffrax": "diffrax_peer",
    "torchsde": "torchsde_peer",
    "C": "c_peer",
}
ON_A_CARD = ("torch", "jax")
SIGMAS = 5.5  # of about 200 comparisons in a run, one false alarm in 10⁵ runs


@dataclass(frozen=True)
class Work:
    """Something to measure: what it is called, our competitors, and whether all of them and the peers share a law."""

    title: str
    ours: Callable[[Size], list[Competitor]]
    peers: bool = False
    same_law: bool = True


WORKS = {
    "examples": Work("descent on w1·w2²·x, batch 16, every example drawn", ours.examples, True),
    "sums": Work("the same, sufficient statistics drawn on all sides", ours.sums, True),
    "langevin": Work("Langevin steps in a double well", ours.langevin, True),
    "optimizers": Work("optimizers on the same descent", ours.optimizers, same_law=False),
    "recording": Work("recording", ours.recording),
    "threads": Work("threads", ours.threads),
    "scaling": Work("replicas, steps, batch size", ours.scaling, same_law=False),
}
STARTS = {
    "start": "a fresh process with a warm cache",
    "compile": "the first call with an empty cache and with a warm one, above the imports",
}
DEFAULT = "default"
"""What a user gets without asking for anything: the first work's times, against another row of ours."""


@dataclass(frozen=True)
class Row:
    """One line of the result; speedup_of_ours is its time over ours, seconds a whole run's."""

    work: str
    who: str
    dtype: str
    threads: int
    ns_per_step: float | None
    speedup_of_ours: float | None
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; return 1 if somebody disagreed."""
    options = _options(arguments)
    size = QUICK if options.quick else FULL
    rows: list[Row] = []
    agreed = True
    print(machine(), flush=True)
    everything = [*WORKS, *STARTS] if options.device == "cpu" else [name for name, work in WORKS.items() if work.peers]
    for name in options.only or everything:
        if name in STARTS:
            found = first_call_rows(name, size)
        else:
            found, fine = run_work(name, size, options.device)
            agreed &= fine
        print(text_table(found), flush=True)
        rows += found
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    if options.markdown:
        options.markdown.write_text(markdown(rows), encoding="utf-8")
    if options.figure:
        draw(rows, options.figure)
    return 0 if agreed else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs; times mean nothing")
    parser.add_argument(
        "--only", nargs="+", metavar="WORK", choices=[*WORKS, *STARTS], help=", ".join([*WORKS, *STARTS])
    )
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="where to run; default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write a table")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw the works that have peers")
    chosen = parser.parse_args(arguments)
    alone = [name for name in chosen.only or [] if chosen.device == "gpu" and (name in STARTS or not WORKS[name].peers)]
    if alone:
        parser.error(f"--device gpu: no peers on a card for {', '.join(alone)}")
    if chosen.device == "gpu":
        try:
            gpu.available()
        except ArgumentError as error:
            parser.error(str(error))
    return chosen


def machine() -> str:
    """Say what the times belong to."""
    busy = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    peers = ", ".join(f"{name} {_version(name)}" for name in PEERS if name not in ("numpy", "C") and installed(name))
    return (
        f"{_processor()}, {os.cpu_count()} cores{busy}; {platform.system()}; {versions()}; {peers or 'no other peers'}"
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "of an unknown version"


def _processor() -> str:
    """Name the processor and its widest vector instructions, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict((part.strip() for part in line.split(":", 1)) for line in lines if ":" in line)
    flags = fields.get("flags", "").split()
    vectors = next((name for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags), "")
    return " ".join(filter(None, (fields.get("model name", platform.machine()), vectors)))


# -- who takes part


def installed(peer: str) -> bool:
    """Return whether a peer can take part."""
    return c_peer.compiler() is not None if peer == "C" else find_spec(peer) is not None


def peers(work: str, size: Size, device: str = "cpu") -> list[Competitor]:
    """Return the peers who can do the work, and name the others."""
    found = []
    for name, module in PEERS.items():
        if device == "gpu" and name not in ON_A_CARD:
            continue
        if not installed(name):
            print(f"skipped: {name} is not there")
            continue
        where = [device] if name in ON_A_CARD else []
        found += importlib.import_module(f"benchmark_peers.{module}").competitors(work, size, *where)
    return found


# -- do they agree


def agree(competitors: Sequence[Competitor], replicas: Sequence[int]) -> list[Competitor]:
    """Compare everybody's ends with those of the first, and return those that agree with it.

    The standard errors of mean m and variance v of n independent ends are √(v/n) and v·√((κ − 1)/n), κ their kurtosis;
    v and κ are those of the first.
    """
    first, *others = competitors
    ends = first.run(1, replicas[0])
    assert isinstance(ends, np.ndarray)
    kurtosis = ((ends - ends.mean(axis=0)) ** 4).mean(axis=0) / ends.var(axis=0) ** 2
    reference = moments(ends)
    print(f"ends of {first.who}: mean {_numbers(reference.mean)}, variance {_numbers(reference.variance)}")
    kept = [first]
    for other, count in zip(others, replicas[1:], strict=True):
        z = distance(reference, kurtosis, moments(other.run(2, count)))
        fine = z < SIGMAS  # false for NaN
        print(f"{'agrees' if fine else 'DISAGREES'}: {other.who} ({other.dtype}), at most {z:.1f} standard errors away")
        kept += [other] if fine else []
    return kept


def moments(ends: task.Array | Moments) -> Moments:
    """Return the moments of ends, unless they are that already."""
    if isinstance(ends, Moments):
        return ends
    return Moments(len(ends), ends.mean(axis=0), ends.var(axis=0, ddof=1))


def distance(reference: Moments, kurtosis: task.Array, other: Moments) -> float:
    """Return the largest distance of means and variances in standard errors."""
    share = 1 / reference.count + 1 / other.count
    mean = np.abs(other.mean - reference.mean) / np.sqrt(reference.variance * share)
    variance = np.abs(other.variance / reference.variance - 1) / np.sqrt((kurtosis - 1) * share)
    return float(np.max([mean, variance]))


def _numbers(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


# -- how long they take


def run_work(name: str, size: Size, device: str = "cpu") -> tuple[list[Row], bool]:
    """Check and time one work; return its rows, and whether all agreed."""
    work = WORKS[name]
    print(f"\n{name}: {work.title}", flush=True)
    mine = work.ours(size) if device == "cpu" else ours.on_a_card(name, size)
    everybody = mine + (peers(name, size, device) if work.peers else [])
    if device == "gpu":
        everybody += [c for c in work.ours(size) if DEFAULT not in c.who]
    count = {c: c.replicas or enough(c, size) for c in everybody}
    kept = agree(everybody, [count[c] for c in everybody]) if work.same_law else everybody
    if not work.same_law:
        for competitor in everybody:
            competitor.run(0, 1)  # it compiles
    seconds = time_rounds(kept, [count[c] for c in kept], size.rounds)
    nanoseconds = [[1e9 * t / (count[c] * c.steps) for t in times] for c, times in zip(kept, seconds, strict=True)]
    timed = [Timed(*fields) for fields in zip(kept, nanoseconds, seconds, strict=True)]
    by_default = [t for t in timed if DEFAULT in t.competitor.who]
    asked = [t for t in timed if t.competitor in mine and t not in by_default]
    others = [t for t in timed if t.competitor not in mine]
    rows = make_rows(name, asked, others) + (make_rows(DEFAULT, by_default, others) if by_default else [])
    return rows, len(kept) == len(everybody)


def enough(competitor: Competitor, size: Size) -> int:
    """Return so many replicas that what a call costs without them is a small part, and say what it costs."""
    fixed = min(_seconds(competitor, 1) for _ in range(4))  # the first may compile
    pilot = 16_384
    each = max(_seconds(competitor, pilot) - fixed, 1e-9) / pilot
    blocks = -(-size.enough * fixed / each // pilot)
    print(f"fixed cost of a call: {1e3 * fixed:.1f} ms ({competitor.who}); {int(blocks) * pilot:,} replicas")
    return int(blocks) * pilot


def time_rounds(competitors: Sequence[Competitor], replicas: Sequence[int], rounds: int) -> list[list[float]]:
    """Return everybody's times, everybody running once a round; say who used more threads than it says."""
    times: list[list[float]] = [[] for _ in competitors]
    busy = [0.0 for _ in competitors]
    for seed in range(rounds):
        for i, (competitor, count) in enumerate(zip(competitors, replicas, strict=True)):
            before = time.process_time()
            times[i].append(_seconds(competitor, count, seed))
            busy[i] += time.process_time() - before
    for competitor, taken, used in zip(competitors, times, busy, strict=True):
        if used > 1.2 * competitor.threads * sum(taken):
            print(f"note: {competitor.who} kept {used / sum(taken):.1f} threads busy")
    return times


def _seconds(competitor: Competitor, replicas: int, seed: int = 0) -> float:
    start = time.perf_counter()
    competitor.run(seed, replicas)
    return time.perf_counter() - start


class Timed(NamedTuple):
    """A competitor's time a replica-step and its whole time, a number a round."""

    competitor: Competitor
    nanoseconds: list[float]
    seconds: list[float]


def make_rows(work: str, own: Sequence[Timed], others: Sequence[Timed]) -> list[Row]:
    """Turn times into rows: peers against ours of the same precision of noise if there is one, else our first."""
    rows = []
    for timed in (*own, *others):
        who = timed.competitor
        same = (t for t in own if timed in others and _noise(t.competitor) == _noise(who))
        base = next(same, own[0]).nanoseconds
        ratio = statistics.median(a / b for a, b in zip(timed.nanoseconds, base, strict=True))
        times = statistics.median(timed.nanoseconds), ratio, statistics.median(timed.seconds)
        rows.append(Row(work, who.who, who.dtype, who.threads, *times))
    return rows


def _noise(competitor: Competitor) -> str:
    return competitor.dtype.split(", ")[-1]


def first_call_rows(name: str, size: Size) -> list[Row]:
    """Time the first calls of fresh processes, with an empty folder of kernels and a filled one."""
    print(f"\n{name}: {STARTS[name]}", flush=True)
    problems = ("1",) if name == "start" else ("1", "5", "20", "dense") if size.enough else ("1",)
    rows = []
    for problem in problems:
        with tempfile.TemporaryDirectory() as cache:
            cold = first_calls(problem, cache, limit=600)
            if cold is None:
                print(f"given up: {problem} takes more than 600 seconds")
                continue
            warm = [first_calls(problem, cache, limit=600) for _ in range(size.rounds)]
        label = f"{DENSE} inputs, dense regression" if problem == "dense" else f"parameters: {problem}"
        medians = {key: statistics.median(run[key] for run in warm if run) for key in cold}
        times = {f"{key}, warm cache": value for key, value in medians.items() if key != "problem"}
        if name == "compile":
            times = {f"{label}, empty cache": cold["first call"], f"{label}, warm cache": medians["first call"]}
        rows += [Row(name, f"{ours.NAME}, {key}", "float64", 1, None, None, value) for key, value in times.items()]
    return rows


# -- what is shown


def text_table(rows: Sequence[Row]) -> str:
    """Lay rows out for a terminal."""
    width = max((len(row.who) for row in rows), default=0)
    lines = []
    for row in rows:
        end = f"{row.dtype}, {row.threads} thread{'s' if row.threads > 1 else ''}"
        if row.ns_per_step is None:
            lines.append(f"{row.work:10} {row.who:{width}} {row.seconds:9.3f} s")
        else:
            lines.append(
                f"{row.work:10} {row.who:{width}} {row.ns_per_step:9.2f} ns × {row.speedup_of_ours:7.2f}  {end}"
            )
    return "\n".join(lines)


def markdown(rows: Sequence[Row]) -> str:
    """Return the rows as a table, with what they belong to."""
    lines = [machine() + ".", "", "| work | who | precision | threads | time a replica-step | time over ours |"]
    lines += ["|---|---|---|---|---|---|"]
    for row in rows:
        taken = f"{row.seconds:.3f} s in all" if row.ns_per_step is None else f"{row.ns_per_step:.3g} ns"
        ratio = "" if row.speedup_of_ours is None else f"{row.speedup_of_ours:.3g}"
        lines.append(f"| {row.work} | {row.who} | {row.dtype} | {row.threads} | {taken} | {ratio} |")
    return "\n".join(lines) + "\n"


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw the time of a replica-step, a point for each competitor of the works that have peers."""
    from matplotlib.figure import Figure

    from sgdtheory.plots.style import BLUE, GREY, save, style

    works = [name for name, work in WORKS.items() if work.peers and any(row.work == name for row in rows)]
    shown = {name: sorted((r for r in rows if r.work == name), key=lambda r: r.ns_per_step or 0) for name in works}
    if not works:
        raise SystemExit("--figure: nothing to draw; it shows " + ", ".join(n for n, w in WORKS.items() if w.peers))
    with style():
        heights = [len(lines) for lines in shown.values()]
        figure = Figure(figsize=(9, 1 + 0.32 * sum(heights) + 0.6 * len(works)))
        grid = figure.subplots(len(works), 1, sharex=True, squeeze=False, height_ratios=heights)
        for axes, (name, lines) in zip(grid[:, 0], shown.items(), strict=True):
            labels = [f"{row.who}, {row.dtype.replace(' state', '').replace(' noise', '')}" for row in lines]
            times = [row.ns_per_step for row in lines]
            colors = [BLUE if row.who.startswith(ours.NAME) else GREY for row in lines]
            for y, (x, color) in enumerate(zip(times, colors, strict=True)):
                axes.plot(x, y, "o", color=color)
                axes.annotate(f"{x:.3g}", (x, y), xytext=(7, -4), textcoords="offset points")
            axes.set(yticks=range(len(lines)), yticklabels=labels, title=WORKS[name].title, xscale="log")
            axes.margins(x=0.12)
            axes.invert_yaxis()
        axes.set_xlabel("nanoseconds a replica-step, state and noise in the precision named")
        save(figure, path)


if __name__ == "__main__":
    sys.exit(main())
