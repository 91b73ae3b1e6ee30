"""Freezes what a run looked at: the values as a file, and one hash over everything that decided the result.

``report.json`` holds the whole result. Times are local ISO text, doses are in the entry's ``unit``, null is *not known*;
an *estimate* is ``{value, low, high, status, reason}`` with its 95 % interval. Its entries are:

run
    ``id, created_at, network, since, until, drl_view, drl_on, versions, drl_sets[], drl_skipped[], mapping, sites[],
    frozen_input_sha256``; ``schedule {single_look, periods_per_year, periods[{name, first, last}]}``: when verdicts were
    given; ``nothing_compared``: why no group was held against a level and what to do, else empty.
completeness, unmapped[], excluded[], methods[]
    What was received and what became of it; names without an examination; exams left out, and how many ``single_values`` of
    other exams were for the same reason; the method appendix.
comparisons[]
    One a site, device, examination, band and quantity over the whole period: ``n, median, ci_low, ci_high, p25, p75, drl,
    ratio, verdict, icrp_flag, evidence, flags``; and ``verdicts {basis: period|year|single look|none, finding:
    standing|clear|unknown, periods[{name, first, last, n, median, ci_low, ci_high, icrp_flag, evidence, p_above, p_below,
    finding, changed, reason}]}``: what the closes say, on both axes. Findings come from these.
findings[]
    ``id, key, kind, severity, subject, site, equipment, message, likely_causes[], for_role, evidence, first_raised_run,
    state: new|open|acknowledged``.
cross_site[]
    One an examination, band and quantity of two sites or more: ``modality, examination, examination_name, band, quantity,
    unit, n, until, n_used, sites_left_out[]``: exams up to `until`, the last close, or all where it is null; ``size {axis,
    unit, missing_share, standardised, reference, slope: estimate|null, reason}``; ``funnel {target, phi, tau, status,
    reason, points[{site, median, low, high, n, z, p_value, beyond,
    direction}], limits[{level, n[], low[], high[]}]}``; ``components {status, reason, levels[{name: site|scanner|acquisition
    protocol|exam, sigma, low, high, share, p_value, groups, status, reason}], site_factor: estimate, pair_factor: estimate,
    effects[{site, factor, low, high, n}]}``; ``kruskal_wallis {epsilon_squared, statistic, degrees_of_freedom, p_value,
    status}``; ``dunn[{first, second, ratio: estimate, z, p_value, p_adjusted}]``, smallest first; ``spread {ratio, by_site
    {site: mean |ln dose - median|}, statistic, p_value, status}``.
monitors[]
    One a device, quantity and examination (null: the device as a whole): ``site, equipment, modality, quantity,
    examination, examination_name, band, n, points_shown``; ``points`` with the equally long lists ``time, log_residual,
    ewma, ewma_limit, cusum_high, cusum_low`` (null in the warm-up; the last four in standard deviations); ``cusum_limit``;
    ``signals[{time, change, direction}]``: crossed at *time*, most likely changed at *change*; ``steps[{day, quantity,
    ratio, low, high, found_by: verdict|monitor}]``; ``software[{day, before, after}]``; ``service[{day, kind, note}]``.
device_events[]
    What happened to devices in the period: ``site, equipment, day, kind: service|software|recalibration|part|move|new
    software|exam mapping, text, before, steps[{day, quantity, ratio}]``: the steps within a week. An exam mapping's version
    has neither site nor equipment.
size_curves[]
    ``modality, examination, examination_name, band, quantity, unit, n, population: adult|child, until, axis, axis_unit,
    n_missing, points_shown, points {size[], dose[], site[]}``; ``fit {method, slope: estimate|null, curves[{q,
    points[{size, value, low, high}]}], status, reason}``; ``drl[{set, edition, row_id, value, band, band_type, low,
    high}]``: steps over the size where `low` or `high` is given, else one level for all.
size_specific[]
    One a device, examination and band of water-equivalent diameter: ``site, equipment, examination, examination_name,
    low_mm, high_mm, median_wed_mm``; ``ssde`` and ``ctdi_vol {n, median, ci_low, ci_high, p25, p75}`` of the same patients.
kap_by_procedure[]
    ``modality, examination, examination_name, band, quantity, unit, n, median, ci_low, ci_high, p25, p75, p95, largest, drl:
    number|null, by_site[{site, n, median, ci_low, ci_high, p25, p75}]``.
exposure_index[]
    One a device and acquisition protocol: ``site, equipment, acquisition_protocol, n, n_without_target, median_ei,
    targets[{target, n}], median_di, sd_di, beyond_3, share_beyond_3, above_1, below_1, header_disagrees, drift_di_a_year,
    drift_low, drift_high, months[{month, n, median_di}]``.
agd_by_thickness[]
    One a device and bin: ``site, equipment, low_mm, high_mm, n, median, ci_low, ci_high, p25, p75, acceptable_mgy,
    achievable_mgy, limit_confidence`` of the device's AGD; ``mgd {n, median, ci_low, ci_high, p25, p75, n_both,
    median_ratio, disagree}|null``: after Dance, the device's over it, and how many views differ by more than a quarter.
dose_check[]
    One a device: ``site, equipment, acquisitions, alert_configured, alert_exceeded, alert_exceeded_without_reason,
    notification_configured, notification_exceeded, exams_with_alert[]``.
outliers[]
    One an exam: ``key, site, equipment, exam_ref, examination, examination_name, band, study_datetime, values[{quantity,
    value, unit, ratio, robust_z}], likely_cause``.
local_levels[]
    One an edition of a local set: ``set, edition, kind: typical|local, state: proposed|approved, site, proposed_by,
    proposed_on, approved_by, approved_on, valid_from, since, until, mapping_version, in_use, levels[{row_id, examination,
    examination_name, modality, patient_group, band, quantity, unit, phantom, statistic, value, low, high, n, rooms, former}]``.
significant_exposures[]
    One an exam that may need a worksheet: ``key, exam_ref, kind, site, equipment, examination_name, study_datetime,
    population, doses[{quantity, value, unit}],
    totals[{quantity, side: left|right|null, value, unit, uncertainty, source}], total_msv, uncertainty_msv, total_reason,
    usual_msv, reaches[{code, version, nations[], population, criterion, assumption, reached, intended_low_msv,
    intended_high_msv, confidence}], conclusion``.
image_quality
    Where phantoms were measured or are due: see `dose_audit.quality.panel.image_quality`.
"""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.contents import table_sha256, used_codes
from dose_audit.audit.frozen_parts import FrozenParts, frozen_parts
from dose_audit.audit.kept_weeks import KeptWeeks
from dose_audit.audit.numbering import Texts
from dose_audit.audit.values import exam_refs

if TYPE_CHECKING:
    import pyarrow as pa

    from dose_audit.audit.values import Values

__all__ = ["freeze", "frozen_table", "input_sha256", "table_sha256"]


def freeze(values: Values, kept: Path | None = None) -> FrozenParts:
    """Return the values as a run freezes them, by weeks.

    Parameters
    ----------
    values : Values
    kept : Path, optional
        Folder with the files of earlier runs' weeks.
    """
    return frozen_parts(
        values.columns["study_datetime"], partial(frozen_table, values), partial(_week_key, values), KeptWeeks(kept)
    )


def _week_key(values: Values, week: int, rows: NDArray[np.int64]) -> str | None:
    """What says all that a week's rows hold: the name of rows that are what they were, and what was said of them since."""
    name = values.weeks.get(week)
    if name is None:
        return None
    digest = hashlib.sha256(f"{name} {week} {rows.size}".encode())
    for texts in (values.reason, values.band):
        places, used = used_codes(texts.codes[rows])
        digest.update(json.dumps(texts.words[used].tolist()).encode())
        digest.update(np.ascontiguousarray(places, dtype="<i4").data)
    return digest.hexdigest()[:32]


def frozen_table(values: Values, rows: NDArray[np.int64] | None = None) -> pa.Table:
    """Return values, or some rows of them, as ``values.parquet`` holds them: one row per exam and quantity, compared or left
    out.

    Nothing in it identifies a patient; exams bear this installation's own numbers.
    """
    import pyarrow as pa

    rows = np.arange(len(values.columns)) if rows is None else rows
    columns = values.columns.some(rows)
    table = columns.table
    band, reason = (Texts(texts.codes[rows], texts.words.tolist()) for texts in (values.band, values.reason))
    return pa.table(
        {
            "exam_ref": exam_refs(columns["exam_id"]),
            "site": table["site"],
            "equipment": table["equipment"],
            "modality": table["modality"],
            "examination": table["examination"],
            "examination_name": table["examination_name"],
            "band": _encoded(band),
            "quantity": table["quantity"],
            "unit": table["unit"],
            "value": table["value"],
            "study_datetime": table["study_datetime"].cast(pa.timestamp("us")),
            "weight_kg": table["weight_kg"].cast(pa.float64()),
            "age_years": table["age_years"].cast(pa.float64()),
            "thickness_mm": table["thickness_mm"],
            "wed_mm": table["wed_mm"],
            "software_versions": table["software_versions"],
            "included": pa.array(reason == ""),
            "reason": _or_none(_encoded(reason)),
        }
    ).combine_chunks()


def _encoded(texts: Texts) -> pa.DictionaryArray:
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(texts.codes.astype(np.int32), pa.array(texts.words, pa.string()))


def _or_none(texts: pa.DictionaryArray) -> pa.DictionaryArray:
    """The same with nothing in place of empty texts."""
    import pyarrow as pa

    words = [word or None for word in texts.dictionary.to_pylist()]
    known = [word for word in words if word is not None]
    places = pa.array([None if word is None else known.index(word) for word in words], pa.int32())
    return pa.DictionaryArray.from_arrays(places.take(texts.indices), pa.array(known, pa.string()))


def input_sha256(values_sha256: str, facts: dict[str, Any]) -> str:
    """Hash over the values, by `FrozenParts.sha256`, and everything else that decided the result (period, editions, mapping,
    completeness).

    The same hash means the same report, whenever and wherever it is made.
    """
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(f"{values_sha256}\n{text}".encode()).hexdigest()
