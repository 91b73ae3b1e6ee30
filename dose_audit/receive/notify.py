"""Tells systemd that the listener is ready, alive or stopping (sd_notify); does nothing where nobody asked."""

import os
import socket

_PATIENCE_S = 0.5


def notify(state: str) -> None:
    """Send a state such as ``READY=1`` to the service manager named in NOTIFY_SOCKET, if any."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.settimeout(_PATIENCE_S)
        try:
            channel.sendto(state.encode(), address)
        except OSError:
            pass  # a service manager that went away or does not listen is no reason to stop receiving


def watchdog_interval_s() -> float | None:
    """How often to send ``WATCHDOG=1``: half of what systemd allows; None when it does not watch."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdigit() or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(microseconds) / 2e6
