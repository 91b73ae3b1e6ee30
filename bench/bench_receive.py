"""The listener against its peers in one run: ``python -m bench.bench_receive [--quick]``, or ``make bench-receive``.

Prebuilt PDUs, one ``sendall`` an object; TCP_NODELAY on both ends; ext4 (or whatever the temporary folder is on) and
tmpfs; servers interleaved, medians. Absolute numbers are this machine's at this hour: compare ratios inside one table
only. The closest race, with dcmtk's storescp for images, is run once more in many short turns, both servers running
all the time: ``--turns 31 --only-turns`` runs that alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.dicom_sender import CT_IMAGE, EXPLICIT_LITTLE, RDSR, RELEASE_RQ, Prebuilt, Sender

KINDS = {"CT": (CT_IMAGE, 527_000), "RDSR": (RDSR, 25_000)}
MAX_PDU = 131072
ENVIRONMENT = dict(os.environ, TCP_NODELAY="1", PYTHONPATH=str(Path(__file__).resolve().parent.parent))

# What the project promises: (ours, peer, kind, associations, ratio at least).
PROMISES = [
    ("ours, fsync", "Orthanc", "CT", 1, 2.0),
    ("ours, fsync", "Orthanc", "RDSR", 1, 6.0),
    ("ours", "dcmtk storescp --fork", "CT", 1, 1.2),
    ("ours", "dcmtk storescp --fork", "RDSR", 1, 1.5),
    ("ours", "pynetdicom storescp", "CT", 1, 4.0),
    ("ours", "pynetdicom storescp", "CT", 16, 8.0),
    ("ours", "pynetdicom storescp", "RDSR", 1, 4.0),
]
PROMISED_TURNS = 1.2


# pynetdicom's own application, allowed more than its ten associations.
_STORESCP = """
import sys
from pynetdicom import ae
from pynetdicom.apps.storescp.storescp import main
made = ae.ApplicationEntity.__init__
def make(self, *args, **options):
    made(self, *args, **options)
    self.maximum_associations = 100
ae.ApplicationEntity.__init__ = make
main(sys.argv[2:])
"""


@dataclass
class Server:
    """A running server: where it listens and which processes it consists of."""

    port: int
    processes: list[psutil.Process]

    def tree(self) -> list[psutil.Process]:
        """Its processes and their children."""
        return [p for process in self.processes for p in (process, *process.children(recursive=True))]

    def cpu_s(self) -> float:
        """Processor time so far, ended children included, s."""
        total = 0.0
        for process in self.tree():
            with suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
        for process in self.processes:
            with suppress(psutil.Error):
                times = process.cpu_times()
                total += times.children_user + times.children_system
        return total


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def started(command: list[str], port: int) -> Iterator[Server]:
    """Run a peer until the end of the block."""
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise RuntimeError(f"{command[0]} does not start") from None
                time.sleep(0.05)
        yield Server(port, [psutil.Process(process.pid)])
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def ours(folder: Path, *, fsync: bool) -> Iterator[Server]:
    """Our listener in a process of its own, as `dose-audit listen` runs it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.bench_receive", "--serve", str(folder), *(["--fsync"] if fsync else [])],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        with process.stdout as output:
            port = int(output.readline())
        yield Server(port, [psutil.Process(process.pid)])
    finally:
        process.terminate()
        process.wait(30)


def serve(folder: Path, fsync: bool) -> None:
    """What the process of `ours` does."""
    from dose_audit.receive.listener import Listener, ListenerSettings
    from dose_audit.receive.spool import Spool

    with Spool(folder, fsync=fsync) as spool:
        settings = ListenerSettings(port=0, called_aet_check=False, max_associations_per_address=100)
        listener = Listener(settings, spool)
        listener.start()
        print(listener.port, flush=True)
        listener.serve_forever()


def dcmtk(folder: Path, *extra: str):
    """Dcmtk's storescp, one process an association."""
    port = free_port()
    return started(["storescp", "--fork", *extra, "-od", str(folder), str(port)], port)


def pynetdicom(folder: Path):
    """pynetdicom's storescp application."""
    port = free_port()
    return started([sys.executable, "-c", _STORESCP, "storescp", "-q", "-od", str(folder), str(port)], port)


def orthanc(folder: Path):
    """Orthanc with its SQLite index."""
    port = free_port()
    settings = {
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "HttpServerEnabled": False,
        "DicomPort": port,
        "DicomCheckCalledAet": False,
        "DicomAlwaysAllowStore": True,
        "Plugins": [],
    }
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps(settings))
    return started(["Orthanc", str(configuration)], port)


SERVERS: dict[str, tuple[str | None, Callable[[Path], object]]] = {
    "ours": (None, lambda folder: ours(folder, fsync=False)),
    "ours, fsync": (None, lambda folder: ours(folder, fsync=True)),
    "dcmtk storescp --fork": ("storescp", lambda folder: dcmtk(folder)),
    "dcmtk storescp --fork +B -pdu 131072": ("storescp", lambda folder: dcmtk(folder, "+B", "-pdu", "131072")),
    "Orthanc": ("Orthanc", lambda folder: orthanc(folder)),
    "pynetdicom storescp": (None, lambda folder: pynetdicom(folder)),
}


class Blast:
    """One association that sends prebuilt objects; between two of them it does next to nothing itself."""

    _STATUS = struct.pack("<HHI", 0, 0x0900, 2)

    def __init__(self, port: int, kind: str) -> None:
        sop_class, size = KINDS[kind]
        self._sender = Sender(("127.0.0.1", port), [(1, sop_class, (EXPLICIT_LITTLE,))], timeout=120)
        self._prebuilt = Prebuilt(sop_class, size, min(self._sender.max_pdu or MAX_PDU, MAX_PDU))
        # The kernel's time-outs: Python's own would cost a poll() before every call.
        self._sender.socket.settimeout(None)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self._sender.socket.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", 120, 0))
        self._answer = bytearray(4096)
        self._view = memoryview(self._answer)

    def store(self, number: int) -> bool:
        """Send an object; whether its status is success."""
        connection, answer = self._sender.socket, self._answer
        connection.sendall(self._prebuilt.patched(number))
        have = connection.recv_into(answer)
        while have < 6 or have < 6 + int.from_bytes(answer[2:6], "big"):
            more = connection.recv_into(self._view[have:])
            if not more:
                raise ConnectionError("the server closed the association")
            have += more
        at = answer.index(self._STATUS, 0, have) + len(self._STATUS)
        return answer[at : at + 2] == b"\0\0"

    def release(self) -> None:
        """A-RELEASE."""
        self._sender.release()


def blast(port: int, kind: str, associations: int, count: int, first: int) -> tuple[float, int]:
    """Send `count` objects over some associations; objects/s and how many were refused."""
    barrier = threading.Barrier(associations + 1)
    refused: list[int] = []

    def work(number: int) -> None:
        try:
            send(number)
        except BaseException:
            barrier.abort()  # nobody waits for one that has failed
            raise

    def send(number: int) -> None:
        association = Blast(port, kind)
        barrier.wait()
        for index in range(number, count, associations):
            if not association.store(first + index):
                refused.append(index)
        barrier.wait()
        association.release()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(associations)]
    for thread in threads:
        thread.start()
    barrier.wait()
    begun = time.perf_counter()
    barrier.wait()
    elapsed = time.perf_counter() - begun
    for thread in threads:
        thread.join()
    return count / elapsed, len(refused)


def association_rate(port: int, count: int, threads: int = 4) -> float:
    """Associations per second with one RDSR each."""
    sop_class, size = KINDS["RDSR"]

    def work(number: int) -> None:
        prebuilt = Prebuilt(sop_class, size, MAX_PDU)
        for index in range(number, count, threads):
            sender = Sender(("127.0.0.1", port), [(1, sop_class, (EXPLICIT_LITTLE,))], timeout=60)
            sender.socket.sendall(prebuilt.patched(10**9 + index))
            assert sender.status() == 0
            sender.socket.sendall(RELEASE_RQ)
            sender.read_pdu()
            sender.close()

    workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    begun = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return count / (time.perf_counter() - begun)


def run_table(base: Path, repeats: int, counts: dict[str, int], *, keep: bool) -> dict[tuple[str, str, int], dict]:
    """Objects/s of every server, kind and number of associations; medians of interleaved runs."""
    available = {name: make for name, (needs, make) in SERVERS.items() if needs is None or shutil.which(needs)}
    for name in SERVERS.keys() - available.keys():
        print(f"skipped: {name} is not installed")
    rates: dict[tuple[str, str, int], list[tuple[float, float]]] = {}
    for repeat in range(repeats):
        for name, make in available.items():
            folder = Path(tempfile.mkdtemp(prefix="bench-", dir=base))
            with make(folder) as server:  # type: ignore[attr-defined]
                first = 1
                for kind, count in counts.items():
                    for associations in (1, 16):
                        warm = max(associations, 8)
                        blast(server.port, kind, associations, warm, first)
                        first += warm
                        cpu = server.cpu_s()
                        rate, refused = blast(server.port, kind, associations, count, first)
                        first += count
                        if refused:
                            print(f"{name} refused {refused} of {count}")
                        rates.setdefault((name, kind, associations), []).append((rate, server.cpu_s() - cpu))
            if not keep:
                shutil.rmtree(folder)
        print(f"  round {repeat + 1} of {repeats}", file=sys.stderr)
    return {
        key: {
            "rate": statistics.median(rate for rate, _ in values),
            "cpu_ms": 1000 * statistics.median(cpu for _, cpu in values) / counts[key[1]],
        }
        for key, values in rates.items()
    }


def run_turns(base: Path, turns: int, count: int) -> tuple[list[float], dict[str, float]]:
    """Ours and storescp for images over one association, turn about while both servers keep running.

    What they stored is deleted after every turn, so that its memory serves the next one: a virtual machine that touches
    memory for the first time waits 10 to 15 µs a page for its host, four times what receiving takes, and that says
    nothing about either server.

    Returns
    -------
    list of float, dict
        Ratios of objects/s; and by server the processor time of both ends for one object, ms: on a busy machine that
        is what decides.
    """
    mine, peer = "ours", "dcmtk storescp --fork"
    folders = [Path(tempfile.mkdtemp(prefix="bench-", dir=base)) for _ in range(2)]
    ratios: list[float] = []
    spent = {mine: 0.0, peer: 0.0}
    with ours(folders[0], fsync=False) as one, dcmtk(folders[1]) as other:
        servers = {mine: one, peer: other}
        first = 1
        for turn in range(turns + 1):
            rates = {}
            for name in (mine, peer) if turn % 2 else (peer, mine):
                begun = servers[name].cpu_s() + time.process_time()  # in this order: asking costs some itself
                rates[name], refused = blast(servers[name].port, "CT", 1, count, first)
                first += count
                if turn:
                    spent[name] += time.process_time() + servers[name].cpu_s() - begun
                if refused:
                    print(f"{name} refused {refused} of {count}")
            if turn:  # the first is for warming up
                ratios.append(rates[mine] / rates[peer])
            for path in (*(folders[0] / "objects").glob("*/*.dcm"), *folders[1].glob("CT.*")):
                path.unlink()
    return ratios, {name: 1000 * seconds / (turns * count) for name, seconds in spent.items()}


def print_turns(ratios: list[float], spent: dict[str, float], count: int) -> None:
    """Median and quartiles of the turns."""
    low, middle, high = statistics.quantiles(ratios, n=4)
    verdict = "" if middle >= PROMISED_TURNS else " **missed**"
    print(f"\nours / dcmtk storescp --fork, CT, 1 association, {len(ratios)} turns of {count} objects each: ", end="")
    print(f"{middle:.2f} × (quartiles {low:.2f} and {high:.2f}), promised ≥ {PROMISED_TURNS:g} ×{verdict}")
    print("processor of both ends, ms/object: " + ", ".join(f"{name} {ms:.2f}" for name, ms in spent.items()))


def print_table(title: str, table: dict[tuple[str, str, int], dict]) -> None:
    """Objects/s, MB/s, server CPU and the promised ratios."""
    print(f"\n### {title}\n\n| server | kind | associations | objects/s | MB/s | server CPU ms/object |")
    print("|---|---|---|---|---|---|")
    for (name, kind, associations), row in sorted(table.items(), key=lambda pair: pair[0][1:] + pair[0][:1]):
        megabytes = row["rate"] * KINDS[kind][1] / 1e6
        print(f"| {name} | {kind} | {associations} | {row['rate']:.0f} | {megabytes:.0f} | {row['cpu_ms']:.2f} |")
    print("\n| ratio | kind | associations | measured | promised |\n|---|---|---|---|---|")
    for mine, peer, kind, associations, promised in PROMISES:
        if (peer, kind, associations) in table:
            ratio = table[mine, kind, associations]["rate"] / table[peer, kind, associations]["rate"]
            verdict = "" if ratio >= promised else " **missed**"
            print(f"| {mine} / {peer} | {kind} | {associations} | {ratio:.2f} × | ≥ {promised:g} ×{verdict} |")


def print_footprint(base: Path, associations: int) -> None:
    """Associations/s with and without fsync, processor time of 40 idle associations, resident memory."""
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=base))
    with ours(folder / "fast", fsync=False) as server:
        fast = statistics.median(association_rate(server.port, associations) for _ in range(3))
    with ours(folder / "safe", fsync=True) as server:
        process = server.processes[0]
        safe = statistics.median(association_rate(server.port, associations) for _ in range(3))
        peak = process.memory_info().rss
        idle = [Sender(("127.0.0.1", server.port)) for _ in range(40)]
        before = sum(process.cpu_times()[:2])
        time.sleep(5)
        share = (sum(process.cpu_times()[:2]) - before) / 5
        for sender in idle:
            sender.close()
        blast(server.port, "CT", 16, 64, 5 * 10**8)
        peak = max(peak, process.memory_info().rss)
        helper = sum(child.memory_info().rss for child in process.children())
    shutil.rmtree(folder)
    print("\n### Footprint of ours\n\n| what | measured | promised |\n|---|---|---|")
    print(f"| associations/s, one RDSR each, four callers | {fast:.0f} | ≥ 500 |")
    print(f"| the same with fsync | {safe:.0f} | |")
    print(f"| 40 idle associations, share of a core | {share:.1%} | < 2 % |")
    print(f"| resident memory of the receiving process, MB | {peak / 1e6:.0f} | < 60 |")
    print(f"| resident memory of the negotiating process, MB | {helper / 1e6:.0f} | |")


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round of few objects, to see that it runs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turns", type=int, default=21, help="short turns of the closest race")
    parser.add_argument("--only-turns", action="store_true", help="that race alone")
    parser.add_argument("--disk", type=Path, default=Path(tempfile.gettempdir()), help="a folder on ext4")
    parser.add_argument("--tmpfs", type=Path, default=Path("/dev/shm"))
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--fsync", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.fsync)
        return
    rounds = 1 if arguments.quick else arguments.rounds
    counts = {"CT": 48, "RDSR": 160} if arguments.quick else {"CT": 160, "RDSR": 640}
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} at the start, medians of {rounds}")
    places = [("tmpfs", arguments.tmpfs, False), ("disk", arguments.disk, True)]
    for title, place, keep in places:
        if not place.is_dir():
            print(f"skipped: {place} does not exist")
            continue
        # On disk nothing is deleted between rounds: freeing blocks slows whatever runs next.
        base = Path(tempfile.mkdtemp(prefix="bench-receive-", dir=place))
        try:
            if arguments.only_turns:
                print(f"\n### {title}")
            else:
                print_table(title, run_table(base, rounds, counts, keep=keep))
            if shutil.which("storescp"):
                turns = 3 if arguments.quick else arguments.turns
                print_turns(*run_turns(base, turns, counts["CT"] // 2), counts["CT"] // 2)
            if arguments.only_turns:
                continue
            if title == "disk":
                print_footprint(base, 400 if arguments.quick else 2000)
        finally:
            shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
