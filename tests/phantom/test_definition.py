"""Phantom definitions are read strictly: what is shipped holds together, and a slip in a site's own file is told by name."""

from pathlib import Path

import pytest

from dose_audit.phantom.definition import DefinitionError, definitions, load_definition
from dose_audit.phantom.workbench import find_locator, find_procedure

SMALL = """
id = "disc"
name = "A disc"
modalities = ["CT"]
locator = "ct_cylinder"
[[module]]
id = "only"
[[feature]]
id = "insert"
module = "only"
r_mm = 10
theta_deg = 90
size_mm = 5
[[measure]]
name = "numbers"
procedure = "ct_inserts.ct_numbers"
module = "only"
"""


def _written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "disc.toml"
    path.write_text(text)
    return path


def test_positions_follow_the_screen_convention(tmp_path):
    feature = load_definition(_written(tmp_path, SMALL)).features[0]
    # 90 degrees is 6 o'clock: below the centre, and y points down.
    assert (round(feature.x_mm, 9), round(feature.y_mm, 9)) == (0.0, 10.0)


@pytest.mark.parametrize("definition", definitions(), ids=lambda one: one.id)
def test_every_shipped_definition_names_what_exists_and_where_it_is_from(definition):
    assert find_locator(definition.locator)
    for measure in definition.measures:
        assert find_procedure(measure.procedure)
    for one in (*definition.features, *definition.tolerances):
        assert one.source, f"{definition.id}: {one} has no source"
    for tolerance in definition.tolerances:
        if tolerance.remedial != (None, None) and tolerance.suspension != (None, None):
            for side, outwards in ((0, -1), (1, 1)):
                inner, outer = tolerance.remedial[side], tolerance.suspension[side]
                assert inner is None or outer is None or (outer - inner) * outwards >= 0, tolerance


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (('name = "A disc"', 'nome = "A disc"'), "'name' is missing"),
        (("theta_deg = 90", ""), "'theta_deg' is missing"),
        (("size_mm = 5", "size_mm = -5"), "sizes are above 0"),
        (('module = "only"\nr_mm', 'module = "other"\nr_mm'), "names the module 'other'"),
        (('modalities = ["CT"]', 'modalities = "CT"'), "expected list"),
        (("locator", "unheard_of = 1\nlocator"), "unknown unheard_of"),
        (("[[measure]]", '[[measure]]\nfeatures = ["nothing"]'), "no feature matches 'nothing'"),
        (
            ("[[measure]]", '[[tolerance]]\nmeasurement = "x"\nunit = "HU"\nsource = "s"\n[[measure]]'),
            "neither a remedial",
        ),
        (
            (
                "[[measure]]",
                '[[tolerance]]\nmeasurement = "x"\nunit = "HU"\nsource = "s"\nremedial = [5, -5]\n[[measure]]',
            ),
            "not below the upper",
        ),
    ],
)
def test_a_slip_is_told_with_file_and_entry(tmp_path, change, complaint):
    assert change[0] in SMALL
    with pytest.raises(DefinitionError, match=r"disc\.toml") as caught:
        load_definition(_written(tmp_path, SMALL.replace(change[0], change[1], 1)))
    assert complaint in str(caught.value)


def test_a_sites_own_definition_wins(tmp_path):
    (tmp_path / "own.toml").write_text(SMALL.replace('id = "disc"', 'id = "catphan504"'))
    own = {one.id: one for one in definitions(tmp_path)}
    assert own["catphan504"].name == "A disc"


def test_a_locator_or_procedure_that_is_not_there_is_told():
    with pytest.raises(DefinitionError, match="no locator"):
        find_locator("nowhere")
    with pytest.raises(DefinitionError, match=r"ct_inserts\._statistics"):
        find_procedure("ct_inserts._statistics")
    with pytest.raises(DefinitionError, match="expected"):
        find_procedure("../evil.run")


def test_unconfirmed_places_are_told_with_every_result() -> None:
    by_id = {one.id: one for one in definitions()}
    for plate in ("leeds-tor-cdr", "scale-plate", "bar-pattern-38"):
        note, places = by_id[plate].caveats
        assert "this program's own" in note and "unconfirmed" in places
    assert not any("unconfirmed" in said for said in by_id["leeds-tor18fg"].caveats)
