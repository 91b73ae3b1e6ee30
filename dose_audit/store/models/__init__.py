"""The tables, one idea per file."""

from dose_audit.store.models.audit import Action, AuditRun, Delivery, ExamMapping, Finding, LocalEdition, Signature
from dose_audit.store.models.dosimetry import Calibration, DoseEstimate
from dose_audit.store.models.equipment import Equipment, EquipmentIdentity, EquipmentSite, EquipmentSoftware
from dose_audit.store.models.exam import Event, Exam
from dose_audit.store.models.phantom import Baseline, EquipmentEvent, Measurement, PhantomStudy, QaTask, Tolerance
from dose_audit.store.models.received import ReceivedObject
from dose_audit.store.models.site import UNASSIGNED, Site
from dose_audit.store.models.tally import Tally

__all__ = [
    "UNASSIGNED",
    "Action",
    "AuditRun",
    "Baseline",
    "Calibration",
    "Delivery",
    "DoseEstimate",
    "Equipment",
    "EquipmentEvent",
    "EquipmentIdentity",
    "EquipmentSite",
    "EquipmentSoftware",
    "Event",
    "Exam",
    "ExamMapping",
    "Finding",
    "LocalEdition",
    "Measurement",
    "PhantomStudy",
    "QaTask",
    "ReceivedObject",
    "Signature",
    "Site",
    "Tally",
    "Tolerance",
]
