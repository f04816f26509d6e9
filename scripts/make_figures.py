"""Draw the figures, check the ledger, and write the page that shows both."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from time import perf_counter

import matplotlib as mpl

mpl.use("Agg")  # before any script imports pyplot: no display is needed

from sgdtheory import claims
from sgdtheory.plots.gallery import gallery_html
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import save
from sgdtheory.verify.check import check_all
from sgdtheory.verify.ledger import summary, to_data
from sgdtheory.verify.verdict import Report, Verdict

HERE = Path(__file__).resolve().parent
NAMES = (
    "sticky_experiment",
    "naive_allocation",
    "allocation_rules",
    "lca_reconstruction",
    "lca_causes",
    "half_help",
    "who_hurts",
    "lca_layers",
    "lca_experiment",
    "degenerate_minima",
    "gradient_noise",
    "learning_coefficient",
    "end_law",
    "sticky_sweeps",
    "sticky_stuck",
    "sticky_creep",
    "stochastic_collapse",
    "diffusion_density",
    "slices_rescaling",
    "slices_batch_decay",
    "slices_skips",
    "curvature_map",
    "weight_norms",
    "equilibrium_angle",
    "trajectory_null",
    "trajectory_plane",
    "bracket_parallelogram",
    "bracket_gap",
    "order_shares",
    "random_order",
    "bracket_table",
    "bracket_norms",
    "bracket_effects",
    "batch_size",
    "derived_algorithm",
    "linear_scaling",
    "stationary_variance",
    "momentum_windows",
    "adam_cycle",
    "heat_capacity",
    "stationary_density",
    "reshuffling",
    "minibatch_stability",
    "heavy_tail",
    "edge_of_stability",
    "gradient_flow",
    "newton",
    "complex_step",
)
"""The scripts, in the order of the page; each has ``make(quick, rng) -> Picture``."""

EPILOG = f"""\
figures: {", ".join(NAMES)}

Into the folder go NAME.png, pictures.json (titles, captions and cited claims), ledger.json (every claim with its
verdict, evidence and mutants) and index.html, which shows all of it. With NAMEs only those figures are redrawn; the
others stay on the page, as pictures.json describes them, if their PNG is there. The whole ledger is always checked.

exit status: 0 fine; 1 a picture cites a claim that does not exist or is REFUTED (then pictures.json and index.html
stay as they were); 2 bad arguments.
"""


@dataclass(frozen=True)
class Entry:
    """One picture as pictures.json keeps it."""

    name: str
    title: str
    caption: str
    claims: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return the exit status."""
    options = parse(arguments)
    chosen = [name for name in NAMES if name in options.names] or list(NAMES)
    entries = {} if len(chosen) == len(NAMES) else recorded(options.out)
    options.out.mkdir(parents=True, exist_ok=True)
    begun = perf_counter()
    with ThreadPoolExecutor(1) as beside:
        ledger = beside.submit(check_all, claims())  # in processes of its own, while the figures are drawn
        entries |= {name: draw(name, options.out, options.format, options.quick) for name in chosen}
        reports = ledger.result()
    write_json(options.out / "ledger.json", [to_data(report) for report in reports])
    print(f"{'ledger':<20} {perf_counter() - begun:6.1f} s  {summary(reports)} (since the start, beside the figures)")
    shown = [entries[name] for name in NAMES if name in entries]
    complaints = bad_citations(shown, reports)
    if complaints:
        print("\n".join(["make_figures: the page was not written:", *complaints]), file=sys.stderr)
        return 1
    write_json(options.out / "pictures.json", [asdict(entry) for entry in shown])
    page = options.out / "index.html"
    page.write_text(gallery_html(shown, reports), encoding="utf-8")
    print(f"{'page':<20} {'':>8}  {page}")
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; leave with status 2 before any work if it cannot be meant."""
    parser = argparse.ArgumentParser(
        "make_figures.py", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="figures to redraw; all by default")
    parser.add_argument("--quick", action="store_true", help="fewer replicas; the captions say so")
    default = HERE.parent / "paper_figures"
    parser.add_argument("--out", type=Path, default=default, metavar="DIR", help="default: %(default)s")
    more = "formats to write besides PNG"
    parser.add_argument("--format", nargs="+", choices=("png", "pdf", "svg"), default=[], help=more)
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in NAMES]
    if unknown:
        parser.error(f"no figure named {', '.join(unknown)}; the figures are {', '.join(NAMES)}")
    if options.out.exists() and not options.out.is_dir():
        parser.error(f"--out {options.out} is not a folder")
    return options


def recorded(folder: Path) -> dict[str, Entry]:
    """Return what pictures.json says of the pictures whose PNG is there."""
    file = folder / "pictures.json"
    if not file.exists():
        return {}
    entries = [Entry(**fields) for fields in json.loads(file.read_text(encoding="utf-8"))]
    return {entry.name: entry for entry in entries if (folder / f"{entry.name}.png").exists()}


def draw(name: str, folder: Path, formats: Sequence[str], quick: bool) -> Entry:
    """Run one script, save its figure, and say how long it took."""
    begun = perf_counter()
    sys.path.insert(0, str(HERE))
    picture: Picture = import_module(name).make(quick=quick)
    sys.path.remove(str(HERE))
    files = [folder / f"{name}.{ending}" for ending in dict.fromkeys(("png", *formats))]
    for file in files:
        save(picture.figure, file)
    print(f"{name:<20} {perf_counter() - begun:6.1f} s  {' '.join(map(str, files))}", flush=True)
    caption = picture.caption + ("\n\nA quick run: fewer replicas than in the published figure." if quick else "")
    return Entry(name, picture.title, caption, tuple(picture.claims))


def bad_citations(entries: Sequence[Entry], reports: Sequence[Report]) -> list[str]:
    """Return a line for every cited claim that does not exist or is REFUTED."""
    verdicts = {report.claim.id: report.verdict for report in reports}
    cited = [(entry.name, claim) for entry in entries for claim in entry.claims]
    missing = [f"{name} cites {claim}, which is no claim" for name, claim in cited if claim not in verdicts]
    refuted = [(name, claim) for name, claim in cited if verdicts.get(claim) is Verdict.REFUTED]
    return missing + [f"{name} cites {claim}, which is REFUTED" for name, claim in refuted]


def write_json(file: Path, data: object) -> None:
    """Write readable JSON."""
    file.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
