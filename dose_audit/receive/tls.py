"""DICOM TLS after the BCP 195 profile: TLS 1.2 or later, forward secrecy, certificates on both sides."""

import hashlib
import ssl
from pathlib import Path

from .access import Certificate
from .errors import TlsFilesError
from .settings import TlsSettings

# RFC 9325 section 4.2; TLS 1.3 suites are all of this kind and need no list.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"


_PAIR_FAULTS = {
    "KEY_VALUES_MISMATCH": "do not belong together",
    "EE_KEY_TOO_SMALL": "have a key that is too short",
}


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """A context that demands a certificate of every caller.

    Raises
    ------
    TlsFilesError
        When a file is missing or not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.verify_mode = ssl.CERT_REQUIRED
    for name in ("certificate", "key", "authorities"):
        _readable(f"tls_{name}", getattr(settings, name))
    pair = f"tls_certificate {settings.certificate} and tls_key {settings.key}"

    def passphrase() -> str:
        # A service has nobody to ask.
        raise TlsFilesError(
            f"tls_key {settings.key} is encrypted: give the key without a passphrase, for us alone to read"
        )

    try:
        context.load_cert_chain(settings.certificate, settings.key, password=passphrase)
    except ssl.SSLError as error:
        what = _PAIR_FAULTS.get(error.reason or "", "are no certificate and key in PEM")
        raise TlsFilesError(f"{pair} {what} ({error.reason or 'not readable as PEM'})") from error
    try:
        context.load_verify_locations(settings.authorities)
    except ssl.SSLError as error:
        raise TlsFilesError(f"tls_authorities {settings.authorities} holds no certificate in PEM") from error
    return context


def _readable(name: str, path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise TlsFilesError(f"{name} {path}: {error.strerror}") from error


def certificate_problem(settings: TlsSettings) -> str:
    """Why a caller that looks at our certificate would not trust it today, as that it has expired; empty where nothing is wrong.

    Whether its issuer is trusted is the caller's affair: here it is its own authority.

    Raises
    ------
    TlsFilesError
        As `server_context`.
    """
    ours = server_context(settings)
    ours.verify_mode = ssl.CERT_NONE  # this caller has no certificate
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    theirs.check_hostname = False
    theirs.load_verify_locations(settings.certificate)
    theirs.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    to_us, to_them = ssl.MemoryBIO(), ssl.MemoryBIO()
    caller, listener = theirs.wrap_bio(to_them, to_us), ours.wrap_bio(to_us, to_them, server_side=True)
    for _ in range(2):  # greeting and answer; the certificate is in the first answer
        for end in (caller, listener):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                return f"tls_certificate {settings.certificate}: {error.verify_message}"
            except ssl.SSLError as error:
                said = (error.reason or "TLS fails").lower().replace("_", " ")
                return f"tls_certificate {settings.certificate}: no caller can come in by it ({said})"
    return ""


# What OpenSSL calls it, and what it is.
_REFUSALS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no certificate",
    "HTTP_REQUEST": "no TLS",
    "WRONG_VERSION_NUMBER": "no TLS",
    "UNSUPPORTED_PROTOCOL": "a version of TLS that is too old",
    "NO_SHARED_CIPHER": "no cipher that we take",
}


def handshake_refusal(error: OSError) -> str:
    """Why a handshake came to nothing, in a few words of ours.

    Examples
    --------
    >>> handshake_refusal(ConnectionResetError())
    'TLS handshake: the caller left'
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS handshake: the caller's certificate: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        said = _REFUSALS.get(error.reason or "", (error.reason or "not TLS").lower().replace("_", " "))
        return f"TLS handshake: {said}"
    return "TLS handshake: the caller left"


def peer_certificate(connection: ssl.SSLSocket) -> Certificate | None:
    """What the caller's verified certificate says; None before the handshake has ended."""
    encoded = connection.getpeercert(binary_form=True)
    fields = connection.getpeercert()
    if not encoded or not fields:
        return None
    subject = dict(pair for group in fields.get("subject", ()) for pair in group)  # type: ignore[misc]
    return Certificate(str(subject.get("commonName", "")), hashlib.sha256(encoded).hexdigest())
