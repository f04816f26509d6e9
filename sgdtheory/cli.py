"""The command line: claims, check, show, kernel, info."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from sgdtheory.errors import ArgumentError, NoClosedFormError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code (0 fine, 1 a claim did not pass, 2 bad input)."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (ArgumentError, NoClosedFormError) as error:
        print(f"sgdtheory: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of a pipe has seen enough
        sys.stderr.close()
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "sgdtheory", description="Executable, checked theory of stochastic gradient descent."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    claims = commands.add_parser("claims", help="list the claims, unchecked")
    claims.add_argument("--theory", help="only one theory, by name or id prefix")
    claims.set_defaults(run=_claims)

    check = commands.add_parser("check", help="check claims; exit 1 unless all asked for are PROVED or SUPPORTED")
    check.add_argument("claims", nargs="*", metavar="ID", help="ids or slugs; all claims by default")
    form = check.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print a JSON list")
    form.add_argument("--markdown", action="store_true", help="print a Markdown table")
    check.add_argument("--rng", type=int, default=0, help="seed of the random evidence (default 0)")
    check.set_defaults(run=_check)

    show = commands.add_parser("show", help="everything about one claim, checked")
    show.add_argument("claim", metavar="ID")
    show.set_defaults(run=_show)

    kernel = commands.add_parser("kernel", help="print the generated simulator of a problem and an optimizer")
    kernel.add_argument("problem", nargs="?", help="a problem of the catalogue, such as sticky-1d")
    kernel.add_argument("--loss", help='a landscape of your own instead, such as "(w**2 - 1)**2/4"')
    kernel.add_argument("--coordinates", default="w", help="its coordinates, comma-separated (default w)")
    kernel.add_argument("--noise-std", type=float, default=1.0, help="its gradient noise (default 1)")
    kernel.add_argument("--optimizer", default="sgd", help="sgd, momentum, ema-momentum or nesterov")
    kernel.add_argument("--target", default="numba", help="numba, python or cuda")
    kernel.set_defaults(run=_kernel)

    info = commands.add_parser("info", help="versions, kernel cache, processors")
    info.set_defaults(run=_info)
    return parser


def _claims(options: argparse.Namespace) -> int:
    from rich.console import Console

    from sgdtheory.theory.registry import claims
    from sgdtheory.verify.ledger import claims_table

    Console().print(claims_table(claims(options.theory)))
    return 0


def _check(options: argparse.Namespace) -> int:
    from sgdtheory.theory.registry import claims, find
    from sgdtheory.verify.check import check_all

    subjects = [find(name) for name in options.claims] or claims()
    reports = check_all(subjects, options.rng)
    if options.json:
        import json

        from sgdtheory.verify.ledger import to_data

        print(json.dumps([to_data(r) for r in reports], indent=2, ensure_ascii=False))
    elif options.markdown:
        from sgdtheory.verify.ledger import to_markdown

        print(to_markdown(reports), end="")
    else:
        from rich.console import Console

        from sgdtheory.verify.ledger import reports_table, summary

        console = Console()
        console.print(reports_table(reports))
        console.print(summary(reports), highlight=False)
    return 0 if all(r.verdict.passed for r in reports) else 1


def _show(options: argparse.Namespace) -> int:
    from sgdtheory.verify.check import check
    from sgdtheory.verify.ledger import full_text

    report = check(options.claim)
    print(full_text(report), end="")
    return 0 if report.verdict.passed else 1


def _kernel(options: argparse.Namespace) -> int:
    from sgdtheory.catalogue import CATALOGUE
    from sgdtheory.dynamics import make_dynamics
    from sgdtheory.kernels.emit import emit
    from sgdtheory.optimizers import OPTIMIZERS
    from sgdtheory.problem import landscape

    if (options.problem is None) == (options.loss is None):
        raise ArgumentError("problem, --loss", (options.problem, options.loss), "exactly one of the two")
    if options.optimizer not in OPTIMIZERS:
        raise ArgumentError("--optimizer", options.optimizer, " | ".join(OPTIMIZERS))
    if options.problem is not None and options.problem not in CATALOGUE:
        raise ArgumentError("problem", options.problem, " | ".join(CATALOGUE))
    if options.problem is not None:
        problem = CATALOGUE[options.problem]()
    else:
        names = [name.strip() for name in options.coordinates.split(",")]
        problem = landscape(options.loss, names, noise_std=options.noise_std)
    print(emit(make_dynamics(problem, OPTIMIZERS[options.optimizer]()), target=options.target), end="")
    return 0


def _info(options: argparse.Namespace) -> int:
    from sgdtheory.execution import worker_count
    from sgdtheory.kernels.build import cache_folder
    from sgdtheory.simulation.provenance import versions

    folder = cache_folder()
    kernels = list(folder.glob("kernel_*.py"))
    print(versions())
    print(f"kernel cache: {folder} ({len(kernels)} kernels; set SGDTHEORY_CACHE_DIR to move it)")
    print(f"threads by default: {worker_count(None)}")
    return 0
