"""TLS towards an archive, and why an archive cannot be reached: in words for whoever set it up."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dose_audit.retrieve.settings import ArchiveSettings

__all__ = ["tls_context", "trouble", "why_unreachable"]

_LOOK_S = 5.0
# What OpenSSL calls an alert or a reason, and what it means for us.
_REASONS = {
    "CERTIFICATE_REQUIRED": "it wants to see a certificate of ours",
    "UNKNOWN_CA": "it does not know who signed our certificate",
    "BAD_CERTIFICATE": "it does not accept our certificate",
    "CERTIFICATE_EXPIRED": "it says that our certificate has expired",
    "HANDSHAKE_FAILURE": "it accepts none of our versions and ciphers of TLS, or wants to see a certificate of ours",
    "PROTOCOL_VERSION": "it does not speak TLS 1.2 or later",
    "WRONG_VERSION_NUMBER": "it does not speak TLS on this port",
    "RECORD_LAYER_FAILURE": "it does not speak TLS on this port",
}


def tls_context(settings: ArchiveSettings) -> ssl.SSLContext:
    """TLS 1.2 or later with the row's certificate and authorities (BCP 195)."""
    context = ssl.create_default_context(cafile=settings.authorities or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.certificate:
        context.load_cert_chain(settings.certificate, settings.key or None)
    return context


def trouble(error: BaseException | None) -> str:
    """What went wrong with a connection, where an error or one that it came from says it: TLS, or the network; else empty.

    Parameters
    ----------
    error : BaseException or None
        Libraries wrap it several times: as cause, as `reason` or as first argument.

    Examples
    --------
    >>> trouble(RuntimeError(ssl.SSLError(1, "x"))), trouble(ConnectionRefusedError(111, "Connection refused")), trouble(None)
    ('TLS fails', 'connection refused', '')
    """
    for _ in range(10):
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {error.verify_message}"
        if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return "it ended the connection; does it accept our certificate?"
        if isinstance(error, ssl.SSLError):
            said = getattr(error, "reason", None) or ""  # one that Python code raised has none
            known = next((words for name, words in _REASONS.items() if said.endswith(name)), "")
            return known or " ".join(["TLS fails", *([f"({said.lower().replace('_', ' ')})"] if said else [])])
        if isinstance(error, OSError) and error.strerror:
            return error.strerror.lower()
        if error is None:
            break
        below = (getattr(error, "reason", None), *error.args[:2], error.__cause__, error.__context__)
        error = next((one for one in below if isinstance(one, BaseException)), None)
    return ""


def why_unreachable(settings: ArchiveSettings) -> str:
    """Connect once more, only to see why no association came about.

    Parameters
    ----------
    settings : ArchiveSettings
        Of an archive by DICOM.
    """
    wait_s = min(_LOOK_S, settings.timeout_s)
    try:
        with socket.create_connection((settings.host, settings.port), timeout=wait_s) as plain:
            if not settings.tls:
                return "it takes the connection and ends it without an answer; does it want TLS?"
            with tls_context(settings).wrap_socket(plain, server_hostname=settings.host) as secure:
                secure.recv(1)  # what an archive thinks of our certificate comes after the handshake
    except TimeoutError:
        return f"no answer within {wait_s:g} s"
    except OSError as error:
        return trouble(error) or type(error).__name__
    return "it takes the connection and ends it without an answer"
