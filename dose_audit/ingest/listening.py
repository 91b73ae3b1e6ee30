"""Turns an installation's settings into a listener's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dose_audit.config import Settings, SettingsError

if TYPE_CHECKING:
    from dose_audit.receive.listener import ListenerSettings

__all__ = ["listener_settings"]


def listener_settings(settings: Settings, *, port: int | None = None) -> ListenerSettings:
    """What the listener needs of the settings.

    Parameters
    ----------
    settings : Settings
    port : int, optional
        Another port than the settings'; 0 lets the system choose.

    Returns
    -------
    ListenerSettings

    Raises
    ------
    SettingsError
        TLS that is only half set, or a commitment peer that is not ``AET=host:port``.
    """
    from dose_audit.receive.listener import ListenerSettings, Route, TlsSettings
    from dose_audit.receive.routing import IMAGES_WITHOUT_DOSE

    routes = settings.routes
    if settings.drop_unwanted_images:
        routes += tuple(Route("drop", sop_class=uid) for uid in IMAGES_WITHOUT_DOSE)
    given = (settings.tls_certificate, settings.tls_key, settings.tls_authorities)
    tls = None
    if any(given):
        certificate, key, authorities = given
        if certificate is None or key is None or authorities is None:
            raise SettingsError("TLS needs all three: tls_certificate, tls_key and tls_authorities.")
        tls = TlsSettings(certificate, key, authorities)
    bounds = {
        name: getattr(settings, name)
        for name in (
            "aet",
            "host",
            "max_associations",
            "max_associations_per_address",
            "max_connections",
            "max_connections_per_address",
            "max_object_bytes",
            "negotiation_timeout_s",
            "idle_timeout_s",
            "object_timeout_s",
            "metrics_port",
        )
    }
    callers = {"callers": settings.callers} if settings.callers else {}
    return ListenerSettings(
        **bounds,
        **callers,
        port=settings.port if port is None else port,
        called_aet_check=settings.check_called_aet,
        plain_allowed=settings.plain_dicom,
        tls=tls,
        routes=routes,
        commitment_peers=dict(_peer(text) for text in settings.commitment_peers),
    )


def _peer(text: str) -> tuple[str, tuple[str, int]]:
    aet, _, place = text.partition("=")
    host, _, port = place.rpartition(":")
    if not aet or not host or not port.isdigit():
        raise SettingsError(f"commitment_peers: {text!r} is not AET=host:port.")
    return aet, (host, int(port))
