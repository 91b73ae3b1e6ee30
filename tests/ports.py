"""Ports that no two tests are given, and that the system gives nobody who asks for any."""

from __future__ import annotations

import random
import socket
import sys

# Below the ports that Linux takes for outgoing connections: one of those may be taken between the look and the use.
FIRST, LAST = 15_000, 31_999
_claims: list[socket.socket] = []


def own_port() -> int:
    """A free loopback port that stays this process's until it ends, whoever else runs tests on this machine."""
    for port in random.SystemRandom().sample(range(FIRST, LAST + 1), 200):
        if _claimed(port):
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue  # somebody who knows nothing of claims listens there
            return port
    raise RuntimeError(f"none of 200 ports between {FIRST} and {LAST} is free")


def _claimed(port: int) -> bool:
    """Take a name that only one process can hold and that is gone when it ends; elsewhere than on Linux, nothing."""
    if sys.platform != "linux":
        return True
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0dose-audit test port {port}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True
