"""What it costs to train with several ranks: `docs/scaling.md`'s numbers.

    ranks.py scaling TRAINER             resnet20 with one rank of one thread, and with two, by turns
    ranks.py here TRAINER                two ranks on this machine: the model's latency and rate from a small and a large net, and what it says of one between
    ranks.py link TRAINER [MS MBIT]..    two ranks in two network namespaces, joined by a link of that delay and rate (as root, on Linux)
    ranks.py model                       the time of a step for 1 to 1,000 ranks, by the model that the two above are compared with

TRAINER is built with `--features mpi`. The link's delay and rate are made here, by a process that holds packets back between two TUN devices: the
kernel's own netem is no part of many kernels. Nothing else on the machine is touched; the namespaces go when the processes in them do.
"""

import csv
import ctypes
import fcntl
import math
import os
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque

MPIRUN = ["mpirun", "--allow-run-as-root", "--oversubscribe"]
ONE_THREAD = {**os.environ, "RAYON_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
WORDS = 3  # of 32 bytes from everybody, in each step


def reduce_seconds(ranks, parameters, latency, bandwidth, eager=65536):
    """The model: what a step says to the others. Words travel in log2(ranks) rounds; then each rank exchanges its part of the gradients with each
    other, and hands the sums round. A message above `eager` bytes is announced and asked for first, which takes two latencies more."""
    if ranks == 1:
        return 0.0
    part = 4 * parameters / ranks
    each = latency * (3 if part > eager else 1)
    rounds = ranks - 1
    return WORDS * math.ceil(math.log2(ranks)) * latency + 2 * rounds * (each + part / bandwidth)


def run(command, folder, environment):
    done = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def seconds(folder, name):
    """Of training, by the run's own clock."""
    with open(os.path.join(folder, "runs", name, "results.csv"), newline="") as file:
        return float(list(csv.DictReader(file))[-1]["time"])


def talked(text):
    """The part of the time that rank 0 has spent in messages."""
    return float(re.search(r"ranks +([\d.]+) % of the time", text)[1]) / 100


def scaling(trainer):
    arguments = "train digits --imgsz 32 --model resnet20 --limit 640 --val 0 --batch 128 --epochs 2 --runs runs --name".split()
    with tempfile.TemporaryDirectory() as folder:
        times, shares = {1: [], 2: []}, []
        for turn in range(4):
            for ranks in (1, 2):
                name = f"{ranks}-{turn}"
                start = [] if ranks == 1 else [*MPIRUN, "-n", str(ranks), "--bind-to", "core"]
                text = run([*start, trainer, *arguments, name], folder, ONE_THREAD)
                times[ranks].append(seconds(folder, name))
                shares += [talked(text)] if ranks > 1 else []
        for ranks, found in times.items():
            print(f"{ranks} rank{'s' * (ranks > 1)}: {', '.join(f'{each:.2f}' for each in found)} s")
        ratios = [one / two for one, two in zip(times[1], times[2])]
        print(f"speedup of 2 ranks, by turns: {', '.join(f'{each:.2f}' for each in ratios)}; median {statistics.median(ratios):.2f}")
        print(f"of it in messages, and waiting: {', '.join(f'{100 * share:.1f} %' for share in shares)}")


class Namespace:
    """A network namespace with a host name and a TUN device in it, held by a process that sleeps."""

    def __init__(self, number):
        self.address = f"10.99.0.{number}"
        self.holder = subprocess.Popen(["unshare", "--net", "--uts", "sh", "-c", f"hostname rank-{number}; exec sleep 100000"])
        time.sleep(0.3)
        self.device = self.inside(self.tun)
        subprocess.run([*self.enter(), "ip", "link", "set", "lo", "up"], check=True)
        for words in (f"address add {self.address}/24 dev slow", "link set slow up mtu 1500"):
            subprocess.run([*self.enter(), "ip", *words.split()], check=True)

    def enter(self):
        return ["nsenter", "--net", "--uts", "--target", str(self.holder.pid)]

    def inside(self, work):
        """What `work` returns in the namespace: threads have namespaces of their own."""
        found = []

        def enter():
            with open(f"/proc/{self.holder.pid}/ns/net") as there:
                if ctypes.CDLL(None, use_errno=True).setns(there.fileno(), 0) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            found.append(work())

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        return found[0]

    @staticmethod
    def tun():
        device = os.open("/dev/net/tun", os.O_RDWR)
        # TUNSETIFF with IFF_TUN | IFF_NO_PI.
        fcntl.ioctl(device, 0x400454CA, struct.pack("16sH22x", b"slow", 0x1001))
        return device


def carry(source, target, delay, rate):
    """Takes packets from one device to the other: `delay` seconds late, and no more than `rate` bytes a second."""
    waiting, arrived, free = deque(), threading.Condition(), [0.0]

    def take():
        while True:
            packet = os.read(source, 65536)
            with arrived:
                free[0] = max(free[0], time.perf_counter()) + len(packet) / rate
                waiting.append((free[0] + delay, packet))
                arrived.notify()

    def give():
        while True:
            with arrived:
                while not waiting:
                    arrived.wait()
                due, packet = waiting.popleft()
            while (rest := due - time.perf_counter()) > 0:
                time.sleep(rest - 0.0001 if rest > 0.0002 else 0)
            os.write(target, packet)

    def first(work):
        # Ranks that wait for each other keep every core busy.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        work()

    for work in (take, give):
        threading.Thread(target=first, args=(work,), daemon=True).start()


def step_of(start, trainer, hidden):
    """Seconds that a step of two ranks spends in messages, and the parameters that it trains. `start` is the command line that starts ranks."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = f"train digits --model mlp --hidden {hidden} --val 0 --batch 64 --epochs 2 --runs runs --name run".split()
        text = run([*start, trainer, *arguments], folder, ONE_THREAD)
        steps = 2 * math.ceil(int(re.search(r"([\d,]+) to train", text)[1].replace(",", "")) / 64)
        parameters = int(re.search(r"model +([\d,]+) parameters", text)[1].replace(",", ""))
        return talked(text) * seconds(folder, "run") / steps, parameters


def here(trainer):
    start = [*MPIRUN, "-n", "2", "--bind-to", "core"]
    found = [min(step_of(start, trainer, hidden) for _ in range(5)) for hidden in ("32", "512,512", "1024,1024,1024")]
    (small, few), (middle, some), (large, many) = found
    # Of two ranks: five messages' latency, and twice a half of the gradients.
    bandwidth = 4 * (many - few) / (large - small)
    latency = max((small - 4 * few / bandwidth) / (WORDS + 2), 0.0)
    expected = reduce_seconds(2, some, latency, bandwidth, math.inf)
    print(f"latency {1e6 * latency:.1f} us, {bandwidth / 1e9:.2f} GB/s, by {few} and {many} parameters")
    print(f"{some} parameters: {1e3 * middle:.3f} ms in a step, {1e3 * expected:.3f} by the model: {middle / expected:.2f}")


def over_link(trainer, delay, rate, hidden):
    """The same over a link."""
    one, two = Namespace(1), Namespace(2)
    carry(one.device, two.device, delay, rate)
    carry(two.device, one.device, delay, rate)
    with tempfile.NamedTemporaryFile("w", suffix=".sh", delete=False) as agent:
        agent.write(f'#!/bin/sh\nshift\nexec {" ".join(two.enter())} sh -c "$*"\n')
    os.chmod(agent.name, 0o755)
    start = [*MPIRUN, "-n", "2", "--host", f"{one.address},{two.address}", "--mca", "plm_rsh_agent", agent.name, "--bind-to", "none"]
    # Through the link alone: no shared memory, no other device.
    start += "--mca btl tcp,self --mca btl_tcp_if_include slow --mca oob_tcp_if_include slow".split()
    try:
        return step_of([*one.enter(), *start], trainer, hidden)
    finally:
        os.unlink(agent.name)
        for namespace in (one, two):
            namespace.holder.kill()
            namespace.holder.wait()


def link(trainer, pairs):
    sys.setswitchinterval(1e-4)  # Between the threads that carry packets.
    print("one way, rate: parameters: seconds of messages in a step, measured; by the model; measured / model")
    for delay, rate in pairs or [(1, 1000), (5, 1000), (5, 100), (20, 100)]:
        for hidden in ("32", "256,256"):
            found, parameters = over_link(trainer, delay / 1e3, rate * 1e6 / 8, hidden)
            expected = reduce_seconds(2, parameters, delay / 1e3, rate * 1e6 / 8)
            print(f"{delay} ms, {rate} Mbit/s: {parameters}: {found:.5f} {expected:.5f} {found / max(expected, 1e-9):.2f}", flush=True)


def model():
    links = [("10 Gbit/s Ethernet, 30 us", 30e-6, 1.1e9), ("100 Gbit/s InfiniBand, 2 us", 2e-6, 1.1e10)]
    nets = [("resnet20", 272_474), ("resnet50", 25_557_032)]
    for title, latency, bandwidth in links:
        for net, parameters in nets:
            row = [f"{1e3 * reduce_seconds(ranks, parameters, latency, bandwidth):.2f}" for ranks in (2, 4, 8, 16, 64, 256, 1000)]
            print(f"| {title} | {net} | {' | '.join(row)} |")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["scaling", trainer]:
            scaling(os.path.abspath(trainer))
        case ["here", trainer]:
            here(os.path.abspath(trainer))
        case ["link", trainer, *numbers]:
            numbers = [float(number) for number in numbers]
            link(os.path.abspath(trainer), list(zip(numbers[::2], numbers[1::2])))
        case ["model"]:
            model()
        case _:
            sys.exit(__doc__)
