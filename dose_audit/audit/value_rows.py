"""The period's rows of values with their examinations, in their order: kept from night to night, so that a night looks at
the rows of changed blocks alone and puts them in their places among the others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from dose_audit.audit.block_tables import period_blocks, sums_by_block
from dose_audit.audit.cohort import FACT_COLUMNS, value_rows
from dose_audit.audit.columns import Columns
from dose_audit.audit.device_names import devices_of, name_devices_apart, twins_among, with_devices
from dose_audit.audit.kept import no_results
from dose_audit.audit.kept_rows import KeptRows, Make, RowKind
from dose_audit.audit.mapping import ResolvedFacts, resolve_facts
from dose_audit.audit.numbering import with_sorted_words
from dose_audit.audit.projections import one_value_each
from dose_audit.audit.query_texts import period_query
from dose_audit.audit.references import cell_edges, with_cells

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

    from dose_audit.audit.engine import Engine
    from dose_audit.audit.kept import KeptResults
    from dose_audit.drl import DrlRegistry, Examination, MappingTable

__all__ = ["read_value_rows"]

_SORT = ("site", "equipment", "examination", "quantity", "study_datetime", "exam_id", "value")
_NOT_MAPPED = {"ambiguous": "AMBIGUOUS_MAPPING", "unmapped": "UNMAPPED"}
_FACTS_ALONE = tuple(name for name in FACT_COLUMNS if name not in ("site", "modality"))
"""What only the mapping looks at: it has few distinct combinations."""
_VALUES = RowKind("values", value_rows, _SORT, _FACTS_ALONE)


def read_value_rows(
    engine: Engine,
    registry: DrlRegistry,
    mapping: MappingTable,
    examinations: Mapping[str, Examination],
    *,
    since: date | None,
    until: date | None,
    kept: KeptResults | None = None,
) -> tuple[Columns, dict[int, str]]:
    """Return the rows of `cohort.value_rows` with what the approved mapping says of them.

    Parameters
    ----------
    engine, registry, mapping, examinations, since, until, kept
        See `values.read_values`.

    Returns
    -------
    columns : Columns
        As arrays, by site, device, examination, quantity and time, with ``examination``, ``examination_name``,
        ``mapping_reason``, ``label``, ``reason`` (why a value is left out, empty where it is not) and ``cell`` (see
        `references.with_cells`; empty where `reason` is not).
    weeks : dict
        See `values.Values`.

    Notes
    -----
    With a copy of the store in blocks the rows are kept beside it. They hold while period, mapping and reference levels'
    edges are the same; of a block that is another, all rows are taken out and put in anew.
    """
    edges = cell_edges(registry)

    def maker(facts: pa.Table) -> Make:
        resolved = _resolved(mapping, _distinct(facts), examinations, kept)
        return lambda tables, twins: _made(tables, resolved, edges, twins)

    blocks = period_blocks(engine, since, until)
    if not blocks:
        rows = engine.keep(period_query(engine, _VALUES.name, value_rows, since, until), "value_rows")
        table, facts = engine.to_encoded(rows, _FACTS_ALONE), engine.to_arrow(_facts(rows))
        return maker(facts)([table], twins_among(devices_of(table))), {}

    def make() -> Make:
        # Facts are looked for in rows that were read.
        return maker(
            sums_by_block(
                engine, "facts", lambda part, *_: _facts(part.table("values")), since, until, from_rows="values"
            )
        )

    known = {slug: (one.name, one.modality) for slug, one in examinations.items()}
    settings = json.dumps([str(since), mapping.rows, known, edges], default=str)
    return KeptRows(engine, _VALUES, blocks, since, until, settings).read(make)


def _made(tables: list[pa.Table], resolved: ResolvedFacts, edges: Mapping[str, Any], twins: set[int]) -> Columns:
    columns = Columns(
        _with_examinations(
            name_devices_apart(with_devices(tables.pop()), twins).drop_columns(["equipment_id"]), resolved
        )
    )
    return with_cells(one_value_each(_with_reasons(columns.sorted_arrays(_SORT)), _SORT), edges)


def _with_reasons(columns: Columns) -> Columns:
    """Why a value is left out, in place of what the store and the mapping said."""
    (left_out, why), (status, known) = columns.codes("left_out"), columns.codes("mapping_status")
    # By what the store says, and where that is nothing by what the mapping says.
    words = [[word or _NOT_MAPPED.get(mapped, "") for mapped in known] for word in why]
    return columns.with_texts(
        "reason", left_out.astype(np.int64) * len(known) + status, [word for row in words for word in row]
    ).without("left_out", "mapping_status")


def _facts(rows: ir.Table) -> ir.Table:
    return rows.select("fact", *FACT_COLUMNS).distinct()


def _distinct(facts: pa.Table) -> pa.Table:
    """Facts of all blocks, each once."""
    _, first = np.unique(facts["fact"].to_numpy(), return_index=True)
    return facts.take(first)


def _resolved(
    mapping: MappingTable, facts: pa.Table, examinations: Mapping[str, Examination], kept: KeptResults | None
) -> ResolvedFacts:
    """What the mapping makes of each combination of facts, asked anew where one of them or the mapping is another."""
    known = {slug: (one.name, one.modality) for slug, one in examinations.items()}
    found = (kept or no_results()).result(
        "mapped facts",
        (mapping.rows, known, [facts[name].to_pylist() for name in facts.column_names]),
        lambda: asdict(resolve_facts(mapping, facts, examinations)),
    )
    return ResolvedFacts(**found)


def _with_examinations(table: pa.Table, resolved: ResolvedFacts) -> pa.Table:
    import pyarrow as pa

    fact = table.column("fact").to_numpy()
    known = np.asarray(resolved.fact, dtype=fact.dtype)
    order = np.argsort(known)
    place = order[np.searchsorted(known[order], fact)] if known.size else np.zeros(0, dtype=np.int64)
    for name, words in (
        ("examination", resolved.examination),
        ("examination_name", resolved.name),
        ("mapping_status", resolved.status),
        ("mapping_reason", resolved.reason),
        ("label", resolved.label),
    ):
        encoded = with_sorted_words(pa.array(words, pa.string()).dictionary_encode())
        column = pa.DictionaryArray.from_arrays(encoded.indices.take(pa.array(place)), encoded.dictionary)
        table = table.append_column(name, column)
    return table.append_column("overlooked", pa.array(np.asarray(resolved.overlooked, dtype=np.int32)[place]))
