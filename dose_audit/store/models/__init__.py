"""The tables, one idea per file."""

from dose_audit.store.models.audit import AuditRun, ExamMapping, Finding
from dose_audit.store.models.equipment import Equipment, EquipmentIdentity, EquipmentSite, EquipmentSoftware
from dose_audit.store.models.exam import Event, Exam
from dose_audit.store.models.received import ReceivedObject
from dose_audit.store.models.site import UNASSIGNED, Site
from dose_audit.store.models.tally import Tally

__all__ = [
    "UNASSIGNED",
    "AuditRun",
    "Equipment",
    "EquipmentIdentity",
    "EquipmentSite",
    "EquipmentSoftware",
    "Event",
    "Exam",
    "ExamMapping",
    "Finding",
    "ReceivedObject",
    "Site",
    "Tally",
]
