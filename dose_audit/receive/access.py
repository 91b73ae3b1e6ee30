"""Who may send: a caller is a rule of AE title, address or network, and certificate; refusals are logged."""

import fnmatch
import ipaddress
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

_log = logging.getLogger(__name__)
_LOG_EVERY_S = 60.0
_MAX_REMEMBERED = 1000

LOOPBACK = ("127.0.0.0/8", "::1/128")


@dataclass(frozen=True)
class Certificate:
    """What a peer's verified TLS certificate says.

    Attributes
    ----------
    subject : str
        Common name.
    fingerprint : str
        SHA-256 of the DER form, lower-case hexadecimal.
    """

    subject: str
    fingerprint: str


@dataclass(frozen=True)
class CallerRule:
    """One permitted caller; every part that is given must match.

    Attributes
    ----------
    aet : str
        Calling AE title, a shell-style pattern, compared case-sensitively as DICOM does.
    networks : tuple of str
        Addresses or CIDR networks; empty allows any.
    certificate : str or None
        Common name (shell-style pattern) or ``sha256:`` and the fingerprint, colons allowed. Given, plain DICOM
        never matches.
    site : str or None
        The site that the sender belongs to, for whoever reads the rule.

    Examples
    --------
    >>> rule = CallerRule("CT*", ("192.0.2.0/24",))
    >>> rule.matches("CT1", "192.0.2.7", None)
    True
    >>> rule.matches("CT1", "198.51.100.7", None) or rule.matches("MR1", "192.0.2.7", None)
    False
    """

    aet: str = "*"
    networks: tuple[str, ...] = ()
    certificate: str | None = None
    site: str | None = None

    def __post_init__(self) -> None:
        _ = self._networks  # a wrong network is found when the rule is made, not when somebody calls

    @cached_property
    def _networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        return tuple(ipaddress.ip_network(network, strict=False) for network in self.networks)

    def admits_address(self, address: str) -> bool:
        """Whether this rule could match a caller at this address."""
        if not self.networks:
            return True
        peer = plain_address(address)
        return any(peer.version == network.version and peer in network for network in self._networks)

    def matches(self, aet: str, address: str, certificate: Certificate | None) -> bool:
        """Whether all parts of the rule match."""
        if not fnmatch.fnmatchcase(aet, self.aet) or not self.admits_address(address):
            return False
        if self.certificate is None:
            return True
        if certificate is None:
            return False
        if self.certificate.lower().startswith("sha256:"):
            return self.certificate[7:].replace(":", "").lower() == certificate.fingerprint
        return fnmatch.fnmatchcase(certificate.subject, self.certificate)


def plain_address(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address without zone; IPv4 that came through an IPv6 socket as IPv4."""
    peer = ipaddress.ip_address(address.split("%", 1)[0])
    mapped = getattr(peer, "ipv4_mapped", None)
    return mapped or peer


class Access:
    """The door's rules.

    Parameters
    ----------
    callers : sequence of CallerRule
        A caller must match one of them; with none, nobody may send.
    called_aet : str or None
        The AE title that callers must ask for; None lets any through.
    """

    def __init__(self, callers: Sequence[CallerRule], called_aet: str | None) -> None:
        self._callers = tuple(callers)
        self._called_aet = called_aet

    def knows_address(self, address: str) -> bool:
        """Whether anybody at this address may call; asked before a byte is read."""
        return any(rule.admits_address(address) for rule in self._callers)

    def refusal(self, calling: str, called: str, address: str, certificate: Certificate | None) -> str | None:
        """Why a caller is refused (``called AE title`` or ``caller``), or None when it may come in."""
        if self._called_aet is not None and called != self._called_aet:
            return "called AE title"
        if not any(rule.matches(calling, address, certificate) for rule in self._callers):
            return "caller"
        return None

    def hint(self, refusal: str, called: str) -> str:
        """What whoever looks after the senders should look at, after a `refusal`."""
        if refusal == "called AE title":
            return f"it calls {called!r}, this is {self._called_aet!r}"
        return "no row of [[callers]] admits this AE title from this address"


class RefusalLog:
    """Writes refusals to the log, at most once a minute for the same reason and address, with the number left out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[tuple[str, str], tuple[float, int]] = {}

    def write(self, reason: str, address: str, aet: str = "", hint: str = "") -> None:
        """Log one refusal, with a hint at what to look at; AE titles and addresses only, never what was sent."""
        now = time.monotonic()
        with self._lock:
            since, left_out = self._last.get((reason, address), (-_LOG_EVERY_S, 0))
            if now - since < _LOG_EVERY_S:
                self._last[reason, address] = (since, left_out + 1)
                return
            if len(self._last) >= _MAX_REMEMBERED:
                self._last.clear()
            self._last[reason, address] = (now, 0)
        more = f" ({left_out} more since the last line)" if left_out else ""
        said = f"{reason} ({hint})" if hint else reason
        _log.warning("refused %s%s: %s%s", address, f" as {aet!r}" if aet else "", said, more)
