"""Coded values that mean one of a few things: which code or header term stands for which term of ours."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "CT_ACQUISITION_TYPES",
    "CT_PHANTOMS",
    "DEVICE_TYPES",
    "FILTER_TYPES",
    "FLUORO_MODES",
    "GRIDS",
    "IRRADIATION_EVENT_TYPES",
    "LATERALITIES",
    "MATERIALS",
    "MATERIAL_NAMES",
    "OBSERVER_TYPES",
    "PLANES",
    "PROCEDURES",
    "SEXES",
    "YES_NO",
    "Key",
    "Terms",
    "dcm",
    "material_of",
    "sct",
]

Key = tuple[str, str]
"""A folded code, ``(scheme, value)``, as `codes.fold` gives it: SNOMED CT stands for its SNOMED-RT twin."""

Terms = Mapping[Key, str]


def dcm(value: str) -> Key:
    """Key of a concept that DICOM itself defines (PS3.16 Annex D)."""
    return ("DCM", value)


def sct(value: str) -> Key:
    """Key of a SNOMED CT concept."""
    return ("SCT", value)


# CID 10013
CT_ACQUISITION_TYPES: Terms = {
    sct("116152004"): "spiral",
    dcm("113804"): "sequenced",
    dcm("113805"): "constant_angle",
    dcm("113806"): "stationary",
    dcm("113807"): "free",
    sct("702569007"): "cone_beam",
}

# CID 4052, as far as CTDI is defined in them
CT_PHANTOMS: Terms = {
    dcm("113690"): "head_16cm",
    dcm("113691"): "body_32cm",
}

# CID 10002
IRRADIATION_EVENT_TYPES: Terms = {
    sct("44491008"): "fluoroscopy",
    dcm("113611"): "stationary_acquisition",
    dcm("113612"): "stepping",
    dcm("113613"): "rotational",
}

# CID 10003
PLANES: Terms = {
    dcm("113622"): "single",
    dcm("113620"): "A",
    dcm("113621"): "B",
    dcm("113890"): "all",
}

# CID 10004
FLUORO_MODES: Terms = {
    dcm("113630"): "continuous",
    dcm("113631"): "pulsed",
}

# CID 10007
FILTER_TYPES: Terms = {
    dcm("113650"): "strip",
    dcm("113651"): "wedge",
    dcm("113652"): "butterfly",
    dcm("113653"): "flat",
    dcm("111609"): "none",
}

# CID 10017
GRIDS: Terms = {
    dcm("111640"): "virtual",
    dcm("111641"): "fixed",
    dcm("111642"): "focused",
    dcm("111643"): "reciprocating",
    dcm("111644"): "parallel",
    dcm("111645"): "crossed",
    dcm("111646"): "none",
}

# CID 244 and CID 6022
LATERALITIES: Terms = {
    sct("7771000"): "left",
    sct("24028007"): "right",
    sct("51440002"): "both",
    sct("66459002"): "unilateral",
    sct("80248007"): "left",
    sct("73056007"): "right",
    sct("63762007"): "both",
}

# CID 10006 and 10016, each with its "X or X compound" twin of the older editions.
MATERIALS: Terms = {
    sct("12503006"): "Al",
    sct("105830007"): "Al",
    sct("66925006"): "Cu",
    sct("105837005"): "Cu",
    sct("71128006"): "Mo",
    sct("105860002"): "Mo",
    sct("59801003"): "Rh",
    sct("105877002"): "Rh",
    sct("41967008"): "Ag",
    sct("105847008"): "Ag",
    sct("26194003"): "W",
    sct("105874009"): "W",
    sct("12597001"): "Sn",
    sct("105849006"): "Sn",
    sct("45215009"): "Ta",
    sct("105866008"): "Ta",
    sct("88488004"): "Pb",
    sct("105842002"): "Pb",
    sct("767776000"): "Nb",
    sct("767775001"): "Eu",
}

MATERIAL_NAMES: Mapping[str, str] = {
    "AL": "Al",
    "ALUMINIUM": "Al",
    "ALUMINUM": "Al",
    "CU": "Cu",
    "COPPER": "Cu",
    "MO": "Mo",
    "MOLYBDENUM": "Mo",
    "RH": "Rh",
    "RHODIUM": "Rh",
    "AG": "Ag",
    "SILVER": "Ag",
    "W": "W",
    "TUNGSTEN": "W",
    "SN": "Sn",
    "TIN": "Sn",
    "TA": "Ta",
    "TANTALUM": "Ta",
    "PB": "Pb",
    "LEAD": "Pb",
    "NB": "Nb",
    "NIOBIUM": "Nb",
    "EU": "Eu",
    "EUROPIUM": "Eu",
}
"""Filter and anode materials as image headers spell them → chemical symbol."""

# CID 10032
DEVICE_TYPES: Terms = {
    dcm("113957"): "RF",
    dcm("113958"): "DX",
    dcm("113959"): "DX",
}

# What "Procedure reported" says of the modality; CID 10005 besides the three of the templates.
PROCEDURES: Terms = {
    sct("77477000"): "CT",
    sct("71651007"): "MG",
    dcm("113704"): "projection",
    sct("168537006"): "projection",
    sct("44491008"): "projection",
    sct("169014003"): "projection",
}

OBSERVER_TYPES: Terms = {
    dcm("121006"): "person",
    dcm("121007"): "device",
}

YES_NO: Terms = {
    sct("373066001"): "yes",
    sct("373067005"): "no",
}

# CID 7455
SEXES: Terms = {
    dcm("M"): "M",
    dcm("F"): "F",
    dcm("121102"): "O",
    sct("248153007"): "M",
    sct("248152002"): "F",
}


def material_of(name: str | None) -> str | None:
    """Chemical symbol of a filter or anode material as a header spells it, or `None` for an unknown one.

    Examples
    --------
    >>> material_of("Aluminium")
    'Al'
    >>> material_of("UNOBTAINIUM") is None
    True
    """
    return MATERIAL_NAMES.get(name.strip().upper()) if name else None
