"""How a peer talks with `cargo xtask bench`: one command a line on stdin, one line of JSON on stdout for each.

First comes `{"peer": .., "version": .., "variants": {WHAT: [VARIANT ..]}}`. Then, for as long as there is input:

    WHAT MODEL BATCH VARIANT SECONDS   runs steps for about so long: {"step_s": mean, "p50_s": .., "best_s": .., "steps": count}
    memory                             the most memory the process has held: {"peak_bytes": .., "start_bytes": at the first line}
    forget                             drops what was built, so that it burdens nobody else

A command that fails answers {"error": ..}. Nothing is computed between commands.
"""

import gc
import json
import sys
import time
import traceback

WARM_PART = 0.15


def peak_bytes():
    """The process's high-water mark of memory; null where there is no /proc."""
    try:
        with open("/proc/self/status") as status:
            lines = dict(line.split(":", 1) for line in status)
        return int(lines["VmHWM"].split()[0]) * 1024
    except (OSError, KeyError):
        return None


def run_for(step, seconds):
    """Calls `step` until `seconds` have passed, after some calls that don't count."""
    start = time.perf_counter()
    step()
    while time.perf_counter() - start < seconds * WARM_PART:
        step()
    times, start = [], time.perf_counter()
    before, end = start, start + seconds
    while before < end or len(times) < 2:
        step()
        now = time.perf_counter()
        times.append(now - before)
        before = now
    times.sort()
    return {"step_s": (before - start) / len(times), "p50_s": times[len(times) // 2], "best_s": times[0], "steps": len(times)}


def serve(peer, version, variants, build, forget=lambda: None):
    """Answers commands until stdin ends. `build(what, model, batch, variant)` gives a function that does one step; `forget` drops what
    `build` left elsewhere."""
    start_bytes = peak_bytes()
    answers = sys.stdout
    sys.stdout = sys.stderr  # what libraries print is no answer
    built = {}

    def answer(words):
        if words == ["memory"]:
            return {"peak_bytes": peak_bytes(), "start_bytes": start_bytes}
        if words == ["forget"]:
            built.clear()
            forget()
            gc.collect()
            return {}
        what, model, batch, variant, seconds = words
        case = what, model, int(batch), variant
        if case not in built:
            built[case] = build(*case)
        return run_for(built[case], float(seconds))

    print(json.dumps({"peer": peer, "version": version, "variants": variants}), file=answers, flush=True)
    for line in sys.stdin:
        try:
            found = answer(line.split())
        except Exception as error:  # the bench says it and goes on with the others
            traceback.print_exc()
            found = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(found), file=answers, flush=True)
