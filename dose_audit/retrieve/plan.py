"""What is fetched of a study: its dose reports; images only of the modalities that no report covers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from dose_audit.retrieve.entries import Instance, Series

__all__ = ["COVERED_BY", "IMAGES_PER", "REPORTS", "covered_by", "plan_images", "plan_reports"]

_SR = "1.2.840.10008.5.1.4.1.1.88"
_XRAY = frozenset({"CT", "XA", "RF", "DX", "CR", "MG"})
_NUCLEAR = frozenset({"PT", "NM"})

COVERED_BY = {
    f"{_SR}.67": _XRAY,  # X-Ray Radiation Dose SR
    f"{_SR}.76": _XRAY,  # Enhanced X-Ray Radiation Dose SR
    f"{_SR}.68": _NUCLEAR,  # Radiopharmaceutical Radiation Dose SR
}
"""Dose report → modalities whose images add nothing where there is one."""

REPORTS = frozenset(COVERED_BY) | {
    f"{_SR}.73",  # Patient Radiation Dose SR
    f"{_SR}.22",  # Enhanced SR: older angiography's dose summary
    f"{_SR}.33",  # Comprehensive SR: older scanners' and converters' reports
    f"{_SR}.34",  # Comprehensive 3D SR
}
"""SOP Classes of reports that are fetched. Those that cover nothing may be anything: small they are, and reading tells."""

IMAGES_PER = {
    "CT": "acquisition",  # every slice repeats the acquisition's CTDIvol; the sum over slices is the report's to tell
    "PT": "series",  # activity and time stand in every image
    "NM": "series",
    "MG": "instance",  # one exposure each
    "DX": "instance",
    "CR": "instance",
    "XA": "instance",
    "RF": "instance",
}
"""Modality → of what one image is fetched where no report covers it. Other modalities: none."""

_UNSAID_REPORTS = 50
"""Instances of an SR series that are fetched although the archive does not say their SOP Class."""


Lister = Callable[[Series], Sequence[Instance]]
"""Asks for the instances of one series."""


def plan_reports(series: Sequence[Series], instances: Lister) -> list[Instance]:
    """Choose the reports of a study.

    Parameters
    ----------
    series : sequence of Series
    instances : callable
        Asked only for series of structured reports.

    Returns
    -------
    list of Instance
        Those that may report dose, and those of which the archive does not say what they are.
    """
    reports: list[Instance] = []
    for one in series:
        if one.modality == "SR":
            held = instances(one)
            reports += [instance for instance in held if instance.sop_class_uid in REPORTS]
            reports += [instance for instance in held if not instance.sop_class_uid][:_UNSAID_REPORTS]
    return reports


def covered_by(sop_classes: Iterable[str]) -> frozenset[str]:
    """Modalities whose images add nothing to reports of these classes.

    >>> sorted(covered_by(["1.2.840.10008.5.1.4.1.1.88.68"]))
    ['NM', 'PT']
    """
    return frozenset(modality for uid in sop_classes for modality in COVERED_BY.get(uid, ()))


def plan_images(
    series: Sequence[Series], instances: Lister, *, covered: Collection[str], modalities: Sequence[str]
) -> list[Instance]:
    """Choose the images whose headers tell the dose of what no report covers.

    Parameters
    ----------
    series : sequence of Series
    instances : callable
        Asked only for series of which images are wanted.
    covered : collection of str
        Modalities that a report covers.
    modalities : sequence of str
        Modalities that are wanted at all.

    Examples
    --------
    >>> ct = Series("1", "1.1", "CT")
    >>> held = [Instance("1", "1.1", f"1.1.{n}", number=n, acquisition_number=n // 3) for n in range(6)]
    >>> [i.number for i in plan_images([ct], lambda series: held, covered=(), modalities=["CT"])]
    [1, 4]
    >>> plan_images([ct], lambda series: held, covered={"CT"}, modalities=["CT"])
    []
    """
    images: list[Instance] = []
    for one in series:
        per = IMAGES_PER.get(one.modality)
        if per is not None and one.modality in modalities and one.modality not in covered:
            images += _PICKED[per](instances(one))
    return images


def _one(instances: Sequence[Instance]) -> list[Instance]:
    """The one in the middle: the first is often a localiser, the last often outside the patient."""
    ordered = _ordered(instances)
    return ordered[len(ordered) // 2 : len(ordered) // 2 + 1]


def _one_per_acquisition(instances: Sequence[Instance]) -> list[Instance]:
    acquisitions: dict[int | None, list[Instance]] = {}
    for instance in instances:
        acquisitions.setdefault(instance.acquisition_number, []).append(instance)
    order = sorted(acquisitions, key=lambda number: (number is None, number or 0))
    return [instance for number in order for instance in _one(acquisitions[number])]


def _ordered(instances: Sequence[Instance]) -> list[Instance]:
    return sorted(instances, key=lambda i: (i.number is None, i.number or 0, i.sop_instance_uid))


_PICKED: dict[str, Callable[[Sequence[Instance]], list[Instance]]] = {
    "acquisition": _one_per_acquisition,
    "series": _one,
    "instance": _ordered,
}
