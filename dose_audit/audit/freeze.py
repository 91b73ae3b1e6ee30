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
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.audit.values import exam_refs

if TYPE_CHECKING:
    import pyarrow as pa

    from dose_audit.audit.columns import Texts
    from dose_audit.audit.values import Values

_GROUP_ROWS = 1 << 18

__all__ = ["frozen_table", "input_sha256", "table_sha256", "write_values"]


def frozen_table(values: Values) -> pa.Table:
    """Return the values as ``values.parquet`` holds them: one row per exam and quantity, compared or left
    out.

    Nothing in it identifies a patient; exams bear this installation's own numbers.
    """
    import pyarrow as pa

    table = values.columns.table
    return pa.table(
        {
            "exam_ref": exam_refs(values.columns["exam_id"]),
            "site": table["site"],
            "equipment": table["equipment"],
            "modality": table["modality"],
            "examination": table["examination"],
            "examination_name": table["examination_name"],
            "band": _encoded(values.band),
            "quantity": table["quantity"],
            "unit": table["unit"],
            "value": table["value"],
            "study_datetime": table["study_datetime"].cast(pa.timestamp("us")),
            "weight_kg": table["weight_kg"].cast(pa.float64()),
            "age_years": table["age_years"].cast(pa.float64()),
            "thickness_mm": table["thickness_mm"],
            "wed_mm": table["wed_mm"],
            "software_versions": table["software_versions"],
            "included": pa.array(values.compared),
            "reason": _or_none(_encoded(values.reason)),
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


def table_sha256(table: pa.Table) -> str:
    """Hash of a table's contents, column by column; independent of file format, compression and library
    version.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table_sha256(pa.table({"a": [1.0, None]})) == table_sha256(pa.table({"a": pa.array([1.0, None])}))
    True
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    digest = hashlib.sha256()
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        # The texts, however they are held.
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        digest.update(f"{name}\x1f{kind}\x1f{len(column)}\x1e".encode())
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            words, numbers = _in_order_of_appearance(column)
            digest.update(_with_lengths(words).data)
            digest.update(numbers.astype("<i8").data)
            continue
        digest.update(column.is_valid().to_numpy(zero_copy_only=False).astype(np.uint8).data)
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        width = "<f8" if pa.types.is_floating(column.type) else "<i8"
        digest.update(
            pc.fill_null(column.cast(_plain(column.type)), 0).to_numpy(zero_copy_only=False).astype(width).data
        )
    return digest.hexdigest()


def _with_lengths(words: pa.Array) -> NDArray[np.uint8]:
    """The bytes of texts, ahead of each its length in eight: no two lists of texts give the same."""
    import pyarrow as pa

    _, ends, data = words.cast(pa.large_string()).buffers()
    if data is None or not len(words):
        return np.zeros(8 * len(words), dtype=np.uint8)
    end = np.frombuffer(ends, dtype=np.int64, count=len(words) + 1)
    told = np.frombuffer(data, dtype=np.uint8)[end[0] : end[-1]]
    places = (end[:-1] - end[0] + 8 * np.arange(len(words)))[:, None] + np.arange(8)
    found = np.empty(told.size + 8 * len(words), dtype=np.uint8)
    text = np.ones(found.size, dtype=np.bool_)
    text[places] = False
    found[places] = np.diff(end).astype("<u8")[:, None].view(np.uint8)
    found[text] = told
    return found


def _in_order_of_appearance(column: pa.Array) -> tuple[pa.Array, NDArray[np.int64]]:
    """Distinct texts in the order in which they come, and the column as numbers into them; -1 where there is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    encoded = column if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)
    # A dictionary that was made elsewhere may have texts that do not occur, and any order.
    numbers = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    first = np.full(len(encoded.dictionary) + 1, numbers.size, dtype=np.int64)  # the last place is that of -1
    first[numbers[::-1]] = np.arange(numbers.size)[::-1]
    present = np.flatnonzero(first[:-1] < numbers.size)
    present = present[np.argsort(first[present])]
    rank = np.full(len(encoded.dictionary) + 1, -1, dtype=np.int64)
    rank[present] = np.arange(present.size)
    return encoded.dictionary.take(pa.array(present)), rank[numbers]


def _plain(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    return pa.float64() if pa.types.is_floating(kind) else pa.int64()


def input_sha256(values_sha256: str, facts: dict[str, Any]) -> str:
    """Hash over the values, by `table_sha256`, and everything else that decided the result (period, editions, mapping,
    completeness).

    The same hash means the same report, whenever and wherever it is made.
    """
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(f"{values_sha256}\n{text}".encode()).hexdigest()


def write_values(table: pa.Table, path: Path) -> None:
    """Write the frozen table, with texts as plain texts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Texts of which few are distinct are written as they are held; an exam's number is a text of its own.
    place = table.column_names.index("exam_ref") if "exam_ref" in table.column_names else None
    schema = table.schema if place is None else table.schema.set(place, pa.field("exam_ref", pa.string()))
    few = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=few, store_schema=False) as writer:
        for start in range(0, max(1, table.num_rows), _GROUP_ROWS):
            writer.write_table(table.slice(start, _GROUP_ROWS).cast(schema))
