"""What a listener can be told; every default works for a trial on one machine."""

from dataclasses import dataclass, field
from pathlib import Path

from .access import LOOPBACK, CallerRule
from .routing import Route


@dataclass(frozen=True)
class TlsSettings:
    """DICOM TLS after BCP 195 (RFC 9325, RFC 8996): TLS 1.2 or later, both sides show certificates.

    Attributes
    ----------
    certificate, key : Path
        Ours, PEM.
    authorities : Path
        PEM file of the authorities whose client certificates are accepted.
    """

    certificate: Path
    key: Path
    authorities: Path


@dataclass(frozen=True)
class ListenerSettings:
    """Who we are, who may call, and every bound. Times in seconds, sizes in bytes.

    Attributes
    ----------
    aet : str
        Our AE title.
    host, port : str, int
        Where to listen; port 0 lets the system choose.
    callers : tuple of CallerRule
        Who may send; by default anybody on this machine.
    called_aet_check : bool
        Refuse callers that ask for another AE title.
    tls : TlsSettings or None
        With it, only TLS is spoken on this port.
    plain_allowed : bool
        Without TLS the listener starts only when this is set.
    routes : tuple of Route
        First match decides; without any everything goes to ``dose``.
    commitment_peers : dict
        AE title → (host, port): where storage commitment results are delivered on a new association; callers that are
        not named here get them on the association on which they asked.
    max_connections : int
        Connections that have not yet become associations; the longest silent one makes room for a newcomer.
    max_connections_per_address : int
        The same for one address.
    max_associations, max_associations_per_address : int
        Associations at a time; when all are taken, the one idle for longest (over `spare_idle_s`) makes room.
    max_pdu : int
        Longest P-DATA PDU that we offer to take.
    negotiation_timeout_s : float
        From connection to a complete A-ASSOCIATE-RQ, TLS handshake included.
    idle_timeout_s : float
        Longest silence in an association.
    object_timeout_s, minimum_rate, slow_grace_s : float
        Longest time for one object; bytes per second that it must keep after the grace.
    metrics_port : int or None
        Port on 127.0.0.1 that answers HTTP requests with the metrics as Prometheus text; none by default.
    """

    aet: str = "DOSEAUDIT"
    host: str = "127.0.0.1"
    port: int = 11112
    callers: tuple[CallerRule, ...] = (CallerRule("*", LOOPBACK),)
    called_aet_check: bool = True
    tls: TlsSettings | None = None
    plain_allowed: bool = True
    routes: tuple[Route, ...] = ()
    commitment_peers: dict[str, tuple[str, int]] = field(default_factory=dict)
    max_connections: int = 600
    max_connections_per_address: int = 550
    max_associations: int = 100
    max_associations_per_address: int = 64
    spare_idle_s: float = 5.0
    max_pdu: int = 256 * 1024
    max_object_bytes: int = 2_000_000_000
    negotiation_timeout_s: float = 10.0
    idle_timeout_s: float = 60.0
    object_timeout_s: float = 600.0
    minimum_rate: float = 1000.0
    slow_grace_s: float = 30.0
    metrics_port: int | None = None
