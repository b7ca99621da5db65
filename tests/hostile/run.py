"""Run the hostile cases and print a table by kind: python tests/hostile/run.py [TEXT of a kind or name]."""

import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import Case, all_cases


def run(case: Case) -> tuple[str | None, float]:
    """The complaint about a case, and its seconds."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        try:
            complaint = case.check(Path(folder))
        except Exception as error:  # a case that breaks is one badly met
            complaint = f"{type(error).__name__}: {error}"
    return complaint, time.monotonic() - begin


def main(wanted: str = "") -> int:
    """Run the cases whose kind or name holds a text; the exit code is 1 if one is badly met."""
    cases = [case for case in all_cases() if wanted in f"{case.kind} {case.name}"]
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(zip(cases, pool.map(run, cases), strict=True))
    kinds = defaultdict(list)
    for case, (complaint, seconds) in outcomes:
        kinds[case.kind].append((complaint, seconds))
        if complaint:
            print(f"badly met: {case.kind}: {case.name}: {complaint}")
    print("\n| kind | inputs | badly met | slowest, s |\n|---|---|---|---|")
    for kind, results in kinds.items():
        bad = sum(complaint is not None for complaint, _ in results)
        print(f"| {kind} | {len(results)} | {bad} | {max(seconds for _, seconds in results):.1f} |")
    bad = sum(complaint is not None for _, (complaint, _) in outcomes)
    print(f"| all | {len(cases)} | {bad} | |")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
