"""``make compare-iq``: run every program on every case, one process at a time, and write docs/accuracy.md."""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from compare.case import Case
from compare.cases import all_cases
from compare.cases_real import REAL
from compare.keep import load, save
from compare.run import HERE, PROGRAMS, ask, installed
from compare.table import NAMES, Outcome, document

PAGE = HERE.parent / "docs" / "accuracy.md"
REMARKS = HERE / "remarks.md"


def main(words: list[str] | None = None) -> int:
    """Parse the command line, run (or take a kept run), write the page; return 0."""
    options = _options(words)
    began = time.perf_counter()
    if options.again:
        head, outcomes = load(options.again, all_cases())
    else:
        head, outcomes = _run(options)
    absent = {NAMES[name]: f"compare/.venv-{name} is not there" for name in PROGRAMS if not installed(name)}
    if not REAL.is_dir():
        absent["real images"] = "../shared/real is not there"
    text = document(outcomes, head=head, remarks=REMARKS.read_text(encoding="utf-8"), absent=absent)
    options.out.write_text(text, encoding="utf-8")
    print(f"wrote {options.out} after {time.perf_counter() - began:.0f} s")
    return 0


def _run(options: argparse.Namespace) -> tuple[str, list[Outcome]]:
    """Every chosen case, and the head of the page."""
    began, load_before = time.perf_counter(), os.getloadavg()[0]
    limit = 0 if options.quick else 2 if options.everything else 1
    chosen = [
        case for case in all_cases() if case.effort <= limit and (not options.only or _wanted(case, options.only))
    ]
    if not chosen:
        raise SystemExit(f"no case begins with {' or '.join(options.only)}")
    programs = [name for name in PROGRAMS if installed(name) and name not in options.without]
    head, outcomes, earlier = "", [], _earlier(options, programs)
    spent = sum(outcome.took_s for outcome in earlier.values())
    for number, case in enumerate(chosen, 1):
        print(f"[{number}/{len(chosen)}] {case.id}", end="", flush=True)
        outcomes.append(earlier.get(case.id) or _one(case, programs, options.timeout))
        told = {name: answer.seconds for name, answer in outcomes[-1].answers.items()}
        words = "".join(f"  {name} {'-' if s is None else f'{s:.1f} s'}" for name, s in told.items())
        kept = ", kept" if case.id in earlier else ""
        print(f"{words}  (with images {outcomes[-1].took_s:.0f} s{kept})", flush=True)
        head = _head(outcomes, options, load_before, spent + time.perf_counter() - began)
        if options.keep:  # after each case, so that a run that is cut short is not lost
            save(options.keep, head, outcomes)
    return head, outcomes


def _earlier(options: argparse.Namespace, programs: list[str]) -> dict[str, Outcome]:
    """Answers of a run that was cut short, by case; only those that every program was asked for."""
    if not options.resume:
        return {}
    if not options.keep:
        raise SystemExit("--resume takes up the run that --keep names")
    if not options.keep.exists():
        return {}
    _, outcomes = load(options.keep, all_cases())
    return {
        one.case.id: one
        for one in outcomes
        if all(name in one.answers for name in programs if name in one.case.programs)
    }


def _options(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m compare", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only the cases that tell most")
    parser.add_argument("--everything", action="store_true", help="also what takes a peer minutes")
    parser.add_argument("--only", nargs="+", default=[], metavar="ID", help="cases whose id begins with one of these")
    parser.add_argument("--without", nargs="+", default=[], choices=sorted(PROGRAMS), help="programs to leave out")
    parser.add_argument("--timeout", type=float, default=120.0, metavar="S", help="for one program on one case")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="also write all answers there, as JSON")
    parser.add_argument("--resume", action="store_true", help="take the cases that the kept file has from there")
    parser.add_argument("--again", type=Path, metavar="FILE", help="write the page from kept answers, run nothing")
    parser.add_argument("--out", type=Path, default=PAGE, help="the page to write")
    return parser.parse_args(words)


def _wanted(case: Case, starts: list[str]) -> bool:
    return any(case.id.startswith(start) for start in starts)


def _one(case: Case, programs: list[str], timeout_s: float) -> Outcome:
    """Prepare the images, ask each program in turn, drop the images."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="compare-") as place:
        own = Path(place) / "images"
        own.mkdir()
        images, asked = case.prepare(own)
        answers = {}
        for name in programs:
            if name in case.programs:
                scratch = Path(place) / name
                scratch.mkdir()
                script = HERE / f"program_{name}.py"
                answers[name] = ask(PROGRAMS[name], script, case.task, images, scratch, timeout_s=timeout_s)
        return Outcome(case, asked, answers, time.perf_counter() - began)


def _head(outcomes: list[Outcome], options: argparse.Namespace, load_before: float, seconds: float) -> str:
    versions = sorted({answer.program for one in outcomes for answer in one.answers.values() if answer.program})
    flags = [f"--{flag}" for flag in ("quick", "everything") if getattr(options, flag)]
    flags += ["--only", *options.only] if options.only else []
    flags += ["--without", *options.without] if options.without else []
    command = shlex.join(["python", "-m", "compare", *flags])
    return f"""# Accuracy beside the field

The same images to each program, and what each makes of them. Written by one run of `make compare-iq` (`{command}`) on
{date.today().isoformat()} in {seconds / 60:.1f} minutes, {len(outcomes)} cases: {", ".join(versions)}.
Machine: {_machine()}; load average {load_before:.1f} at the start; one process at a time, niced, one thread each.

Truth is computed from the objects and never measured; the images are this project's own digital phantoms (`dose-audit phantom
make`). Each cell gives the value and, in brackets, its difference from the truth; **bold** is beyond the target, *?* is a value
that the program itself doubts, *no value* one that it tried and could not give, *–* one that it does not offer. Targets are those
this project set itself beforehand. Seconds are the analysis alone, reading included, interpreter and imports not."""


def _machine() -> str:
    model = next(
        (line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine()
    )
    return f"{os.cpu_count()} virtual cores ({model}), {platform.system()}, Python {platform.python_version()}"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


if __name__ == "__main__":
    sys.exit(main())
