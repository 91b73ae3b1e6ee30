"""Skin dose in fluoroscopy and intervention: peak, map and uncertainty from a radiation dose structured report.

A report says how much air kerma each event brought to a reference point, from where and how wide; this room puts a
patient on the table and follows every field to the skin.
"""

from dose_audit.dosimetry.skin.dose_map import DoseMap
from dose_audit.dosimetry.skin.estimate import skin_dose
from dose_audit.dosimetry.skin.geometry import Convention, conventions, find_convention
from dose_audit.dosimetry.skin.hvl import half_value_layer, water_to_air
from dose_audit.dosimetry.skin.orientation import Orientation
from dose_audit.dosimetry.skin.phantom import REFERENCE_ADULT, Phantom, phantom_for
from dose_audit.dosimetry.skin.result import EventShare, SkinDose
from dose_audit.dosimetry.skin.transmission import Support
from dose_audit.dosimetry.skin.uncertainty import Budget

__all__ = [
    "REFERENCE_ADULT",
    "Budget",
    "Convention",
    "DoseMap",
    "EventShare",
    "Orientation",
    "Phantom",
    "SkinDose",
    "Support",
    "conventions",
    "find_convention",
    "half_value_layer",
    "phantom_for",
    "skin_dose",
    "water_to_air",
]
