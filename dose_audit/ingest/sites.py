"""Which site an object came from, as far as the way it came in tells."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from dose_audit.receive.access import CallerRule

__all__ = ["site_of"]


@lru_cache(maxsize=1024)
def site_of(source: str, callers: tuple[CallerRule, ...]) -> str | None:
    """Site named by a scan, or by the first caller rule that a sender matches.

    Parameters
    ----------
    source : str
        Of a spooled object: ``scan:SITE``, ``dicom:AET@address`` or anything else.
    callers : tuple of CallerRule
        ``Settings.callers``.

    Returns
    -------
    str or None
        None where the way in says nothing; the device's registered site goes before it in any case.

    Examples
    --------
    >>> rules = (CallerRule("CT*", ("192.0.2.0/24",), site="North"),)
    >>> site_of("dicom:CT1@192.0.2.7", rules), site_of("scan:South", rules), site_of("scan", rules)
    ('North', 'South', None)
    """
    way, _, rest = source.partition(":")
    if way == "scan":
        return rest or None
    if way != "dicom":
        return None
    aet, _, address = rest.rpartition("@")
    for rule in callers:
        try:
            # The certificate was judged at the door; who came in by this title from this address is at this site.
            if replace(rule, certificate=None).matches(aet, address, None):
                return rule.site
        except ValueError:  # no IP address, from a transport that has none
            return None
    return None
