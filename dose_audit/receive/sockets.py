"""Two things that a listener needs of a socket and that Python's own does not offer."""

import socket
from collections.abc import Callable

__all__ = ["acknowledging", "shut_down"]


def acknowledging(connection: socket.socket) -> Callable[[memoryview], int]:
    """``recv_into`` that has the kernel acknowledge what was taken before it waits for more.

    Many senders write an object as several small pieces with Nagle's algorithm on: each piece then waits for the
    acknowledgement of the one before, which the kernel would otherwise hold back for 40 ms.
    """
    if not hasattr(socket, "TCP_QUICKACK") or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return connection.recv_into
    receive, option = connection.recv_into, connection.setsockopt

    drained = True  # else more is waiting, and the kernel acknowledges it as it is taken

    def receive_into(view: memoryview) -> int:
        # Before waiting and not after receiving: an object's last piece is acknowledged by the response to it.
        nonlocal drained
        if drained:
            option(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        count = receive(view)
        drained = count < len(view)
        return count

    return receive_into


def shut_down(connection: socket.socket, how: int) -> None:
    """Shut down the TCP connection alone: SSLSocket.shutdown would go on in clear text."""
    socket.socket.shutdown(connection, how)
