"""The demonstration network: three fictional sites and their devices, in the styles of six makers.

Nothing here is a real place, device or person. The makers' names mark whose codes, units and habits a device
follows.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEVICES", "SITES", "Device", "Site", "device", "site_of"]


@dataclass(frozen=True, slots=True)
class Site:
    """One hospital of the network and the way its objects come in.

    Attributes
    ----------
    key : str
        Short name for folders.
    name : str
        Name as registered and as Institution Name.
    channel : str
        ``listener`` (sent by C-STORE), ``folder`` or ``zip`` (scanned).
    calling_aet : str
        AE title that its devices send from.
    """

    key: str
    name: str
    channel: str
    calling_aet: str


@dataclass(frozen=True, slots=True)
class Device:
    """One X-ray device and the habits of its reports.

    Attributes
    ----------
    key : str
        Short name within the demonstration.
    site : str
        Key of its site.
    kind : str
        What it sends: ``ct``, ``fluoroscopy``, ``dx_report``, ``dx_image``, ``cr_image``, ``mg_report``,
        ``mg_image``.
    style : str
        Whose codes, units and quirks: ``siemens``, ``ge``, ``philips``, ``canon``, ``hologic``,
        ``carestream``.
    modality : str
        Modality of the exam record that its studies give.
    manufacturer, model_name, station_name, serial_number, software_versions, department : str
        As the device names itself.
    weekends : bool
        Whether it works on Saturday and Sunday.
    """

    key: str
    site: str
    kind: str
    style: str
    modality: str
    manufacturer: str
    model_name: str
    station_name: str
    serial_number: str
    software_versions: str
    department: str
    weekends: bool = False


SITES = (
    Site("north", "North Site", "listener", "NORTH_GW"),
    Site("south", "South Site", "folder", "SOUTH_GW"),
    Site("west", "West Site", "zip", "WEST_GW"),
)

DEVICES = (
    Device(
        "north-ct-1", "north", "ct", "siemens", "CT",
        "SIEMENS", "SOMATOM Demo", "NCT1", "70001", "syngo CT VB20A", "Radiology", weekends=True,
    ),
    Device(
        "north-ct-2", "north", "ct", "ge", "CT",
        "GE MEDICAL SYSTEMS", "Revolution Demo", "NCT2", "GE70002", "revo_ct_22mw.46", "Radiology",
        weekends=True,
    ),
    Device(
        "north-dx-1", "north", "dx_report", "canon", "DX",
        "Canon Inc.", "CXDI Demo", "NDX1", "CX70003", "2.17.0.4", "Radiology",
    ),
    Device(
        "north-mg-1", "north", "mg_report", "hologic", "MG",
        "HOLOGIC, Inc.", "Selenia Dimensions Demo", "NMG1", "81007004", "AWS:1.11.0.7", "Breast Unit",
    ),
    Device(
        "south-ct-1", "south", "ct", "canon", "CT",
        "CANON_MEC", "Aquilion Demo", "SCT1", "4CA7005", "V10.6ER004", "Imaging", weekends=True,
    ),
    Device(
        "south-xa-1", "south", "fluoroscopy", "siemens", "RF",
        "Siemens", "AXIOM-Artis Demo", "SXA1", "147006", "VD11B 180110", "Cardiology",
    ),
    Device(
        "south-dx-1", "south", "dx_image", "ge", "DX",
        "GE Healthcare", "Optima XR Demo", "SDX1", "SER7007", "dm_Platform_demo-FW23.1", "Imaging",
    ),
    Device(
        "south-mg-1", "south", "mg_image", "hologic", "MG",
        "HOLOGIC, Inc.", "3Dimensions Demo", "SMG1", "81007008", "AWS:2.1.0.3", "Breast Unit",
    ),
    Device(
        "west-ct-1", "west", "ct", "philips", "CT",
        "Philips", "Ingenuity Demo", "WCT1", "7009", "4.1.10.1", "X-Ray", weekends=True,
    ),
    Device(
        "west-xa-1", "west", "fluoroscopy", "philips", "RF",
        "Philips", "Azurion Demo", "WXA1", "7010", "2.1.9", "Cath Lab",
    ),
    Device(
        "west-rf-1", "west", "fluoroscopy", "canon", "RF",
        "CANON_MEC", "Ultimax Demo", "WRF1", "HRM-7011", "V5.20", "X-Ray",
    ),
    Device(
        "west-cr-1", "west", "cr_image", "carestream", "CR",
        "CARESTREAM HEALTH", "DRX Demo", "WCR1", "007012", "5.7.712", "X-Ray",
    ),
)  # fmt: skip

_BY_KEY = {entry.key: entry for entry in DEVICES}
_SITE_BY_KEY = {entry.key: entry for entry in SITES}


def device(key: str) -> Device:
    """Return the device with this key."""
    return _BY_KEY[key]


def site_of(entry: Device) -> Site:
    """Return the site at which a device stands.

    >>> site_of(device("south-ct-1")).name
    'South Site'
    """
    return _SITE_BY_KEY[entry.site]
