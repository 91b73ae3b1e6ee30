"""DICOM TLS after the BCP 195 profile: TLS 1.2 or later, forward secrecy, certificates on both sides."""

import hashlib
import ssl

from .access import Certificate
from .settings import TlsSettings

# RFC 9325 section 4.2; TLS 1.3 suites are all of this kind and need no list.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """A context that demands a certificate of every caller.

    Raises
    ------
    OSError, ssl.SSLError
        When a file is missing or not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(settings.certificate, settings.key)
    context.load_verify_locations(settings.authorities)
    return context


def peer_certificate(connection: ssl.SSLSocket) -> Certificate | None:
    """What the caller's verified certificate says; None before the handshake has ended."""
    encoded = connection.getpeercert(binary_form=True)
    fields = connection.getpeercert()
    if not encoded or not fields:
        return None
    subject = dict(pair for group in fields.get("subject", ()) for pair in group)  # type: ignore[misc]
    return Certificate(str(subject.get("commonName", "")), hashlib.sha256(encoded).hexdigest())
