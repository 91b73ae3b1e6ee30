"""Where an object goes, decided on its header before a byte is written: dose, phantom, or acknowledged and dropped."""

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, fields

from .header import SOP_CLASS_UID, SOP_INSTANCE_UID, peek

DROP = "drop"
DEFAULT = "dose"

# Attributes that a rule can name beside aet and sop_class, and the element each is read from.
_ELEMENTS = {
    "modality": 0x00080060,
    "manufacturer": 0x00080070,
    "station_name": 0x00081010,
    "manufacturer_model_name": 0x00081090,
    "patient_id": 0x00100020,
    "device_serial_number": 0x00181000,
    "acquisition_protocol": 0x00181030,
}

# Image storage that carries no dose in its header: what a site that wants only dose may drop with one rule each.
IMAGES_WITHOUT_DOSE = (
    "1.2.840.10008.5.1.4.1.1.2",  # CT Image Storage
    "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT Image Storage
    "1.2.840.10008.5.1.4.1.1.4",  # MR Image Storage
    "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR Image Storage
    "1.2.840.10008.5.1.4.1.1.6.1",  # Ultrasound Image Storage
    "1.2.840.10008.5.1.4.1.1.3.1",  # Ultrasound Multi-frame Image Storage
)


@dataclass(frozen=True)
class Route:
    """One rule; every attribute that is given must match. The first rule that matches decides.

    Attributes
    ----------
    to : str
        ``dose``, ``phantom``, ``drop`` or a site's own word.
    aet : str or None
        Calling AE title.
    sop_class : str or None
        SOP Class UID.
    modality, manufacturer, manufacturer_model_name, station_name, device_serial_number : str or None
    patient_id, acquisition_protocol : str or None
        Of the data set. All are shell-style patterns; case is ignored.
    """

    to: str
    aet: str | None = None
    sop_class: str | None = None
    modality: str | None = None
    manufacturer: str | None = None
    manufacturer_model_name: str | None = None
    station_name: str | None = None
    device_serial_number: str | None = None
    patient_id: str | None = None
    acquisition_protocol: str | None = None

    def name(self) -> str:
        """The rule in a few words, for counters; without patterns of patient IDs."""
        given = [f.name for f in fields(self) if f.name != "to" and getattr(self, f.name) is not None]
        return f"{self.to} by {', '.join(given) or 'default'}"


_DEFAULT_ROUTE = Route(DEFAULT)


def unwanted_images() -> list[Route]:
    """Rules that drop images which carry no dose; put them behind the rules for phantoms."""
    return [Route(DROP, sop_class=uid) for uid in IMAGES_WITHOUT_DOSE]


class Router:
    """Applies rules to the first bytes of an object.

    Attributes
    ----------
    needs_header : bool
        Whether any rule looks inside the data set; otherwise only its UIDs are read.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = tuple(routes)
        used = {name for route in self._routes for name in _ELEMENTS if getattr(route, name) is not None}
        self._tags = {name: _ELEMENTS[name] for name in used}
        self._wanted = frozenset((SOP_CLASS_UID, SOP_INSTANCE_UID, *self._tags.values()))
        self.needs_header = bool(used)

    def look(self, head: bytes | bytearray | memoryview, transfer_syntax_uid: str) -> dict[int, str]:
        """What the rules need of an object's first bytes."""
        return peek(head, transfer_syntax_uid, self._wanted)

    def decide(self, aet: str, sop_class_uid: str, header: dict[int, str]) -> Route:
        """The first rule that matches, or one that sends the object to dose."""
        for route in self._routes:
            given = {"aet": aet, "sop_class": sop_class_uid}
            given.update((name, header.get(tag, "")) for name, tag in self._tags.items())
            patterns = ((given[f.name], getattr(route, f.name)) for f in fields(route) if f.name in given)
            if all(p is None or fnmatch.fnmatchcase(value.upper(), p.upper()) for value, p in patterns):
                return route
        return _DEFAULT_ROUTE
