"""Mapping: exact facts in a fixed order, two ways are ambiguous, and no guess counts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dose_audit.drl import ExamFacts, ExamMapping, MappingError, MappingTable, coverage, read_examinations, suggest
from dose_audit.drl.tables import Examination
from dose_audit.extract.codes import Code
from dose_audit.texts import no_formula


@pytest.fixture
def examinations(tables):
    return read_examinations(tables.root)


@pytest.fixture
def load(examinations):
    return lambda text: MappingTable.from_csv(text, examinations)


HEADER = (
    "site,level,modality,code_scheme,code_value,station_name,acquisition_protocol,"
    "study_description,target_region,acquisition_type,phantom,examination"
)

ROWS = f"""{HEADER}
,coded_procedure,CT,99LOCAL,CHEAD,,,,,,,ct-head-stroke
North,exact,CT,,,CT1,01_Head,CT Head,,,,ct-head
,exact,,,,,CTPA,,,,,ct-pulmonary-angiography
,exact,,,,,Pelvis,,,,,ct-pelvis
,rdsr,CT,,,,,,SCT:69536005,spiral,head_16cm,ct-head
,rdsr,CT,,,,,,SCT:51185008,,,ct-chest
"""

SLUGS = ("ct-head", "ct-head-stroke", "ct-chest", "ct-pelvis", "ct-pulmonary-angiography")
HEAD = Code("69536005", "SCT", "Head")
CHEST = Code("51185008", "SCT", "Chest")


def facts(**more):
    return ExamFacts(modality="CT", **more)


def test_levels_are_tried_in_order(load):
    table = load(ROWS)
    full = facts(
        station_name="CT1",
        study_description="CT Head",
        acquisition_protocols=("01_Head",),
        procedure_codes=(Code("CHEAD", "99LOCAL", ""),),
        target_regions=(CHEST,),
    )
    first = table.resolve("North", full)
    assert (first.examination, first.status) == ("ct-head-stroke", "mapped")
    assert first.rule.startswith("coded_procedure: modality=CT, code_scheme=99LOCAL, code_value=CHEAD")
    second = table.resolve("North", facts(**{**_fields(full), "procedure_codes": ()}))
    assert second.examination == "ct-head"
    third = table.resolve("South", facts(**{**_fields(full), "procedure_codes": ()}))
    assert third.examination == "ct-chest"


def _fields(given):
    return {name: getattr(given, name) for name in given.__slots__ if name != "modality"}


def test_every_filled_criterion_must_hold(load):
    table = load(ROWS)
    exam = facts(target_regions=(HEAD,), acquisition_types=("spiral",), phantoms=("body_32cm",))
    assert table.resolve("North", exam).status == "unmapped"
    exam = facts(target_regions=(HEAD,), acquisition_types=("spiral",), phantoms=("head_16cm",))
    assert table.resolve("North", exam).examination == "ct-head"


def test_retired_snomed_codes_meet_their_successors(load):
    exam = facts(target_regions=(Code("T-D3000", "SRT", "Chest"),))
    assert load(ROWS).resolve("North", exam).examination == "ct-chest"


def test_a_region_that_no_row_reaches_makes_a_region_match_ambiguous(load):
    """As a real report has it: abdomen and heart in one study, of which the mapping knows one."""
    heart = Code("80891009", "SCT", "Heart")
    resolution = load(ROWS).resolve("North", facts(target_regions=(CHEST, heart)))
    assert (resolution.examination, resolution.status) == (None, "ambiguous")
    assert "SCT:80891009" in resolution.reason
    named = facts(target_regions=(CHEST, heart), acquisition_protocols=("CTPA",))
    assert load(ROWS).resolve("North", named).examination == "ct-pulmonary-angiography"


def test_case_and_white_space_do_not_count_but_words_do(load):
    table = load(ROWS)
    assert table.resolve("", facts(acquisition_protocols=("  ctpa ",))).examination == "ct-pulmonary-angiography"
    for near in ("CTPA 2", "PE", "Pelvi", "Abdomen Pelvis", "01_Head"):
        assert table.resolve("South", facts(acquisition_protocols=(near,))).status == "unmapped"


def test_two_examinations_on_one_level_are_ambiguous_and_no_lower_level_is_asked(load):
    table = load(ROWS)
    exam = facts(acquisition_protocols=("CTPA", "Pelvis"), target_regions=(CHEST,))
    resolution = table.resolve("North", exam)
    assert (resolution.examination, resolution.status) == (None, "ambiguous")
    assert resolution.candidates == ("ct-pelvis", "ct-pulmonary-angiography")
    assert "(row 4)" in resolution.rule
    assert "(row 5)" in resolution.rule


def test_rows_that_agree_are_one_hit(load):
    table = load(f"{HEADER}\n,exact,,,,,Head A,,,,,ct-head\n,exact,,,,,Head B,,,,,ct-head\n")
    assert table.resolve("", facts(acquisition_protocols=("Head A", "Head B"))).examination == "ct-head"


def test_version_follows_content_not_order(load):
    lines = ROWS.strip().split("\n")
    again = "\n".join([lines[0], *reversed(lines[1:])])
    assert load(ROWS).version == load(again).version
    assert load(ROWS).version != load(ROWS.replace("CTPA,", "CTPA2,")).version


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+C Abdomen", "-Thorax", "@x", "'=x", "''+x", "'Thorax'", "＝1"])
def test_no_spreadsheet_runs_a_name_and_the_name_comes_back(load, name):
    table = load(f"{HEADER}\n,exact,,,,,{no_formula(name)},,,,,ct-pelvis\n")
    assert table.rows[0].acquisition_protocol == name
    assert f",'{name}," in table.to_csv() or name == "'Thorax'"
    assert load(table.to_csv()).version == table.version


def test_a_name_is_the_one_that_the_store_has(load):
    table = load(f"{HEADER}\n,exact,,,,,A\x1b[31m\x00B,,,,,ct-pelvis\n")
    assert table.rows[0].acquisition_protocol == "A\ufffd[31mB"


def test_export_reads_back_to_the_same_version(load):
    table = load(ROWS)
    assert load(table.to_csv()).version == table.version


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (",exact,,,,,Head,,,,,ct-knee", "EXAMINATION"),
        (",fuzzy,,,,,Head,,,,,ct-head", "LEVEL"),
        (",exact,CT,,,CT1,,,,,,ct-head", "CRITERIA"),
        (",coded_procedure,,,CHEAD,,,,,,,ct-head", "CRITERIA"),
        (",exact,,,,,Head,,SCT:69536005,,,ct-head", "CRITERIA"),
        (",rdsr,,,,,,,69536005,,,ct-head", "CODE"),
        (",exact,,,,,Head,,,,ct-head", "COLUMNS"),
    ],
)
def test_faults_name_the_row_and_all_are_told(load, row, code):
    text = f"{HEADER}\n,exact,,,,,Fine,,,,,ct-head\n{row}\n,exact,,,,,Bad,,,,,ct-knee\n"
    with pytest.raises(MappingError) as error:
        load(text)
    assert (error.value.problems[0].row, error.value.problems[0].code) == ("3", code)
    assert error.value.problems[-1].row == "4"
    assert "row 3" in str(error.value)


def test_a_mapping_that_maps_two_ways_names_both_rows(load, tmp_path, examinations):
    text = f"{HEADER}\nNorth,exact,,,,,Head,,,,,ct-head\nnorth,exact,,,,,HEAD,,,,,ct-chest\n"
    path = tmp_path / "map.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MappingError) as error:
        MappingTable.from_csv(path, examinations)
    problem = error.value.problems[0]
    assert (problem.file, problem.row, problem.code) == (str(path), "3", "TWO_WAYS")
    assert "row 2" in problem.message
    assert "ct-chest" in problem.message


@pytest.mark.parametrize("text", ["", "a,b\n", 'site,level,examination\n"x'])
def test_what_is_no_mapping_is_refused(load, text):
    with pytest.raises(MappingError):
        load(text)


def test_a_wrong_header_is_told_in_words(load):
    with pytest.raises(
        MappingError, match="not known: hello; missing: site, level; there twice: view; the columns are site, level,"
    ) as error:
        load("hello,examination,view,view\n")
    assert not set("[]()") & set(error.value.problems[0].message)


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.text(max_size=300),
        st.lists(st.text(alphabet='ab,"\n\r\x00\u2028:', max_size=30), max_size=6).map(
            lambda rows: "\n".join([HEADER, *rows])
        ),
        st.lists(st.sampled_from(ROWS.split("\n")), max_size=6).map("\n".join),
    )
)
def test_any_text_is_a_mapping_or_a_told_fault(text):
    known = {slug: Examination(slug, slug, "CT", "", "", "per_exam") for slug in SLUGS}
    try:
        table = MappingTable.from_csv(text, known)
    except MappingError as error:
        assert all(problem.message for problem in error.problems)
    else:
        assert MappingTable.from_csv(table.to_csv(), known).version == table.version


def test_coverage_by_site(load):
    table = load(ROWS)
    seen = [("North", "CTPA"), ("North", "other"), ("North", "Pelvis"), ("South", "other")]
    lines = coverage((site, table.resolve(site, facts(acquisition_protocols=(name,)))) for site, name in seen)
    assert [(c.site, c.n, c.mapped, c.unmapped) for c in lines] == [("North", 3, 2, 1), ("South", 1, 0, 1)]
    assert lines[0].percent == pytest.approx(66.667, abs=1e-3)


ABBREVIATIONS = {"": {"pe": ("pulmonary", "embolism")}, "CT": {"ctpa": ("pulmonary", "angiography")}}


def test_suggestions_rank_whole_words_and_pe_never_meets_pelvis(examinations):
    def best(name):
        return [s.examination for s in suggest([name], examinations, modality="CT", abbreviations=ABBREVIATIONS)]

    assert best("CTPA 1.0")[0] == "ct-pulmonary-angiography"
    assert best("PE study") == ["ct-pulmonary-angiography"]
    assert best("Pelvis routine")[0] == "ct-pelvis"
    assert best("Stroke head")[0] == "ct-head-stroke"
    assert best("QA daily") == []


def test_mapped_names_teach_suggestions(load, examinations):
    table = load(f"{HEADER}\n,exact,CT,,,,Schaedel nativ,,,,,ct-head\n")
    options = {"modality": "CT", "abbreviations": {}}
    assert suggest(["schaedel km"], examinations, **options) == []
    taught = suggest(["schaedel km"], examinations, mapping=table, **options)
    assert [s.examination for s in taught] == ["ct-head"]


@pytest.mark.parametrize(
    ("modality", "status"),
    [("CT", "mapped"), ("XA", "unmapped"), ("RF", "unmapped"), ("DX", "unmapped"), ("", "mapped")],
)
def test_a_row_without_modality_never_crosses_modalities(modality, status):
    table = MappingTable((ExamMapping(acquisition_protocol="Head", examination="ct-head", line=2),))
    facts = ExamFacts(modality=modality, acquisition_protocols=("Head",))
    assert table.resolve("North", facts).status == status


def test_modalities_that_devices_write_for_one_another_are_one():
    table = MappingTable(
        (
            ExamMapping(acquisition_protocol="Chest", examination="dx-chest-pa", line=2),
            ExamMapping(acquisition_protocol="PCI", examination="xa-percutaneous-coronary-intervention", line=3),
        )
    )
    for modality, name in (("CR", "Chest"), ("DX", "Chest"), ("RF", "PCI"), ("XA", "PCI")):
        assert table.resolve("", ExamFacts(modality=modality, acquisition_protocols=(name,))).status == "mapped"


def test_another_level_may_answer_where_the_first_one_is_of_another_modality():
    table = MappingTable(
        (
            ExamMapping(level="coded_procedure", code_scheme="L", code_value="1", examination="ct-head", line=2),
            ExamMapping(acquisition_protocol="Run", examination="xa-coronary-angiography", line=3),
        )
    )
    facts = ExamFacts(modality="XA", procedure_codes=(Code("1", "L", ""),), acquisition_protocols=("Run",))
    assert table.resolve("", facts).examination == "xa-coronary-angiography"


def test_a_row_whose_modality_contradicts_its_examination_is_refused():
    text = "site,level,modality,acquisition_protocol,examination\n,exact,XA,Head,ct-head\n"
    with pytest.raises(MappingError, match=r"row 2.*XA cannot be ct-head"):
        MappingTable.from_csv(text)
