#!/usr/bin/env python3
"""Loads `infer serve` and, on the same machine and with the same model, ONNX Runtime behind FastAPI and uvicorn.

    cargo build -p infer --examples --bins
    python serving.py MODEL PICTURE [--onnx MODEL.onnx] [--only half,overload,memory,slow,terminate,peer] [--repeat 3]

MODEL is a model file or a run's folder, PICTURE an image that it takes. Client and server share the machine: what is measured is both. The saturating rate is
wrk's (Debian's package `wrk`, or what WRK names), latencies at a constant rate are oha's too, where OHA names it or it is in the PATH (`cargo install oha`);
our own driver (crates/infer/examples/load.rs) stands beside both, and measures what neither can: refusals apart from answers, slow connections, the end. --onnx
names what `infer export MODEL --onnx` wrote; the peer then needs fastapi, uvicorn, onnxruntime, numpy and pillow in this Python. Prints one line for each
measurement.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"


WRK = os.environ.get("WRK") or shutil.which("wrk")
OHA = os.environ.get("OHA") or shutil.which("oha")
# What wrk is to send, and what it is to say of it.
SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/octet-stream"
wrk.body = io.open(os.getenv("PICTURE"), "rb"):read("*a")
function done(summary, latency)
    local errors = summary.errors
    local lost = errors.connect + errors.read + errors.write + errors.timeout
    io.write(string.format('{"requests": %d, "micros": %d, "refused": %d, "lost": %d, "p50": %d, "p99": %d}',
        summary.requests, summary.duration, errors.status, lost, latency:percentile(50), latency:percentile(99)))
end
"""


class Server:
    """`infer serve` at a free port, or the peer."""

    def __init__(self, command, url_in_log=True, log=None):
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        self.address = None
        while url_in_log and self.address is None:
            for line in Path(self.log.name).read_text().splitlines():
                if '"started"' in line:
                    self.address = json.loads(line)["url"].removeprefix("http://")
            if self.process.poll() is not None:
                sys.exit(Path(self.log.name).read_text())
            time.sleep(0.02)

    def memory(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def serve(model, *options):
    return Server([TARGET / "infer", "serve", model, "--bind", "127.0.0.1:0", "--log", "json", *options])


def load(address, picture, *options, path=None):
    command = [TARGET / "examples" / "load", address, picture, *options]
    if path:
        command += ["--path", path]
    return json.loads(subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout)


def wrk(address, picture, connections=64, seconds=5, path="/v1/predict"):
    """What wrk says of so many connections that ask again at once; good answers a second, milliseconds."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT)
        script.flush()
        command = [WRK, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script.name, f"http://{address}{path}"]
        said = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "PICTURE": str(picture)}).stdout
    seen = json.loads(re.search(r"\{.*\}", said)[0])
    good = seen["requests"] - seen["refused"]
    return {"good_per_second": good / seen["micros"] * 1e6, "p99_ms": seen["p99"] / 1e3, "refused": seen["refused"], "lost": seen["lost"]}


def oha(address, picture, asked, seconds):
    """What oha says of a constant rate, a latency counting from when its request was due: median and p99 in milliseconds, and what was not answered."""
    command = [OHA, "--no-tui", "--output-format", "json", "-z", f"{seconds}s", "-c", "64", "-q", str(round(asked)), "--latency-correction"]
    command += ["-m", "POST", "-D", str(picture), "-T", "application/octet-stream", f"http://{address}/v1/predict"]
    seen = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    of = seen["latencyPercentiles"]
    failed = sum(count for status, count in seen["statusCodeDistribution"].items() if status != "200")
    return {"p50_ms": of["p50"] * 1e3, "p99_ms": of["p99"] * 1e3, "a_second": seen["summary"]["requestsPerSec"], "failed": failed}


def say(what, **figures):
    print(f"{what}: " + ", ".join(f"{name} {value}" for name, value in figures.items()), flush=True)


def rate(seen):
    return round(seen["good_per_second"])


def spread(values):
    return f"{statistics.median(values):.4g} ({min(values):.4g} to {max(values):.4g})"


def saturating(server, picture, seconds=5, path="/v1/predict"):
    if WRK:
        return wrk(server.address, picture, seconds=seconds, path=path)["good_per_second"]
    return load(server.address, picture, "--connections", 64, "--seconds", seconds, path=path)["good_per_second"]


def half(args):
    """p99 at half the saturating load."""
    server = serve(args.model)
    alone = load(server.address, args.picture, "--connections", 1, "--seconds", 2)
    say("one connection", a_second=rate(alone), p50_ms=alone["good_ms"][0], p99_ms=alone["good_ms"][1])
    full, own, found, others = [], [], [], []
    for _ in range(args.repeat):
        full.append(saturating(server, args.picture, 4))
        own.append(load(server.address, args.picture, "--connections", 64, "--seconds", 3)["good_per_second"])
        seen = load(server.address, args.picture, "--connections", 64, "--rate", full[-1] / 2, "--seconds", 8)
        found.append((seen["good_ms"], seen["good"] / seen["seconds"], seen["refused"] + seen["other"] + seen["lost"]))
        if OHA:
            others.append(oha(server.address, args.picture, full[-1] / 2, 8))
    say("saturated", by="wrk" if WRK else "our driver", a_second=spread(full), by_our_driver=spread(own))
    say(
        "half of it, by our driver",
        a_second=spread([one[1] for one in found]),
        p50_ms=spread([one[0][0] for one in found]),
        p99_ms=spread([one[0][1] for one in found]),
        not_answered=sum(one[2] for one in found),
    )
    if others:
        figures = {name: spread([one[name] for one in others]) for name in ("a_second", "p50_ms", "p99_ms")}
        say("half of it, by oha", **figures, failed=sum(one["failed"] for one in others))
    server.end()


def overload(args):
    """Ten times as many requests at once as the server takes on, and what comes after."""
    server = serve(args.model, "--max-requests", "64")
    kept, kept_wrk, refusals, after = [], [], [], []
    for _ in range(args.repeat):
        before = load(server.address, args.picture, "--connections", 64, "--seconds", 4)
        seen = load(server.address, args.picture, "--connections", 640, "--seconds", 8)
        back = load(server.address, args.picture, "--connections", 64, "--seconds", 2)
        again = load(server.address, args.picture, "--connections", 64, "--seconds", 2)
        usual = (before["good_per_second"] + again["good_per_second"]) / 2
        kept.append(100 * seen["good_per_second"] / usual)
        refusals.append(seen["refused_ms"][1] or 0)
        after.append(100 * back["good_per_second"] / usual)
        say("640 clients for 64 places", good=seen["good"], refused=seen["refused"], other=seen["other"], lost=seen["lost"], good_p99_ms=seen["good_ms"][1])
        if WRK:
            few, many = (wrk(server.address, args.picture, connections, 4) for connections in (64, 640))
            kept_wrk.append(100 * many["good_per_second"] / few["good_per_second"])
    say("overload", goodput_kept_percent=spread(kept), p99_of_refusals_ms=spread(refusals), next_two_seconds_percent=spread(after))
    if kept_wrk:
        say("overload, by wrk", goodput_kept_percent=spread(kept_wrk))
    rated = saturating(server, args.picture, 3)
    seen = load(server.address, args.picture, "--connections", 640, "--rate", 10 * rated, "--seconds", 5)
    say("ten times the rate", good=rate(seen), of=round(rated), refused=seen["refused"], refused_p99_ms=seen["refused_ms"][1])
    server.end()


def memory(args):
    """Resident memory from the 20,000th request to the 220,000th."""
    server = serve(args.model)
    load(server.address, args.picture, "--count", 20_000)
    samples = [server.memory()]
    for _ in range(10):
        load(server.address, args.picture, "--count", 20_000)
        samples.append(server.memory())
    drift = 100 * (samples[-1] / samples[0] - 1)
    say("200,000 requests", kib=samples, drift_percent=f"{drift:.2f}")
    server.end()


def slow(args):
    """2,000 connections that never come to the end of their headers, beside honest clients at half the saturating load."""
    server = serve(args.model)
    asked = saturating(server, args.picture) / 2
    steady = ["--connections", 64, "--rate", asked, "--seconds"]
    before = load(server.address, args.picture, *steady, 10)["good_ms"][1]
    beside = load(server.address, args.picture, *steady, args.slow_seconds, "--slow", 2000)
    after = load(server.address, args.picture, *steady, 10)["good_ms"][1]
    p99 = beside["good_ms"][1]
    more = 100 * (p99 / ((before + after) / 2) - 1)
    say("2,000 slow connections", p99_ms=p99, before=before, after=after, more_percent=f"{more:.0f}", lost=beside["lost"], refused=beside["refused"])
    server.end()


def terminate(args):
    """SIGTERM under load, again and again: every request that the server logged was answered, and nothing else was lost."""
    lost = unanswered = failed = total = 0
    for _ in range(args.terminations):
        server = serve(args.model)
        command = [TARGET / "examples" / "load", server.address, args.picture, "--until-refused", "--seconds", "30"]
        client = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
        time.sleep(0.3 + random.random() / 2)
        code = server.end()
        seen = json.loads(client.communicate()[0])
        lines = [json.loads(line) for line in Path(server.log.name).read_text().splitlines() if line.startswith("{")]
        answered = sum(line["event"] == "request" and line["status"] == 200 for line in lines)
        lost += abs(answered - seen["good"])
        unanswered += seen["lost"]
        failed += code != 0 or seen["other"] > 0 or seen["refused"] > 0
        total += seen["good"]
    say(f"{args.terminations} SIGTERMs", answered=total, accepted_and_lost=lost, without_an_answer=unanswered, bad_ends=failed)


def peer(args):
    """ONNX Runtime behind FastAPI and uvicorn."""
    port = socket.create_server(("127.0.0.1", 0)).getsockname()[1]
    ours, theirs = [], []
    for workers in (1, 2):
        command = [sys.executable, "-m", "uvicorn", "--app-dir", str(Path(__file__).parent), "fastapi_peer:app"]
        command += ["--port", str(port), "--workers", str(workers), "--no-access-log", "--log-level", "warning"]
        os.environ["PEER_MODEL"] = str(args.onnx)
        other = Server(command, url_in_log=False)
        other.address = f"127.0.0.1:{port}"
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        time.sleep(2)
        server = serve(args.model)
        load(other.address, args.picture, "--connections", 64, "--seconds", 2, path="/predict")
        ours, theirs = [], []
        for _ in range(args.repeat):
            theirs.append(saturating(other, args.picture, 4, path="/predict"))
            ours.append(saturating(server, args.picture, 4))
        say(
            f"uvicorn with {workers} workers",
            ours_a_second=spread(ours),
            theirs=spread(theirs),
            times=f"{statistics.median(ours) / statistics.median(theirs):.1f}",
        )
        server.end()
        other.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("picture")
    parser.add_argument("--onnx")
    parser.add_argument("--only", default="half,overload,memory,slow,terminate,peer")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--slow-seconds", type=int, default=60)
    parser.add_argument("--terminations", type=int, default=100)
    args = parser.parse_args()
    say("measured with", wrk=WRK, oha=OHA, processors=os.cpu_count(), load=os.getloadavg()[0])
    for name in args.only.split(","):
        if name != "peer" or args.onnx:
            globals()[name](args)


if __name__ == "__main__":
    main()
