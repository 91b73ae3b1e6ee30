"""Two things that a listener needs of a socket and that Python's own does not offer."""

import socket
from collections.abc import Callable

__all__ = ["acknowledging", "shut_down"]

_LONGEST_SEGMENT_BYTES = 65535  # on any network; who takes more at once has it acknowledged by the kernel


def acknowledging(connection: socket.socket) -> Callable[[memoryview, bool], int]:
    """``recv_into`` that has the kernel acknowledge what was taken before it waits for more of the same message.

    Many senders write an object as several small pieces with Nagle's algorithm on: each piece then waits for the
    acknowledgement of the one before, which the kernel would otherwise hold back for 40 ms. An object's last piece is
    acknowledged by the response to it. Whoever sends in large pieces is spared what needless acknowledgements cost both.
    """
    receive, option = connection.recv_into, connection.setsockopt
    if not hasattr(socket, "TCP_QUICKACK") or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return lambda view, _: receive(view)

    held_back = True  # else more is waiting, or so much was taken that the kernel has acknowledged it

    def receive_into(view: memoryview, within_message: bool) -> int:
        nonlocal held_back
        if held_back and within_message:
            option(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        count = receive(view)
        held_back = count < len(view) and count <= _LONGEST_SEGMENT_BYTES
        return count

    return receive_into


def shut_down(connection: socket.socket, how: int) -> None:
    """Shut down the TCP connection alone: SSLSocket.shutdown would go on in clear text."""
    socket.socket.shutdown(connection, how)
