"""The panel over a made-up network in a real store: states, schedule, repeats, sites and the planted trade."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest

WIGGLE = (0.02, -0.03, 0.01, 0.03, -0.02, 0.0, -0.01, 0.02, -0.02, 0.01, 0.03, -0.03)
NOW = dt.datetime(2026, 6, 30, 23, 30)


def _days(count: int) -> list[dt.datetime]:
    return [dt.datetime(2026, 1, 5, 8) + dt.timedelta(days=14 * n) for n in range(count)]


@pytest.fixture
def network(store_run: Callable[..., Any], accept: Callable[..., Any]) -> None:
    """CT1 steady; CT2 with 36 % less dose and 25 % more noise after eight accepted runs; one repeat until pass."""
    for station, site, share in (("CT1", "North", 1.0), ("CT2", "South", 0.64)):
        runs = []
        for number, (when, wiggle) in enumerate(zip(_days(12), WIGGLE, strict=True)):
            cut = share if number >= 8 else 1.0
            runs.append(
                store_run(
                    when,
                    noise=5.0 * (1 + wiggle) / cut**0.5,
                    water=wiggle,
                    ctdi=10.0 * cut,
                    station=station,
                    site=site,
                    software="V1" if number < 8 else "V2",
                )
            )
            if number == 7:
                accept(runs)
    failed = dt.datetime(2026, 6, 22, 8)
    store_run(failed, water=8.0)
    store_run(failed + dt.timedelta(minutes=20), water=0.1)


def _panel() -> dict[str, Any]:
    from dose_audit.quality.panel import image_quality

    found = image_quality(NOW)
    assert found is not None
    # It goes into report.json, where NaN and objects have no place.
    return json.loads(json.dumps(found, allow_nan=False))


def test_an_empty_store_has_no_panel(home: Any) -> None:
    from dose_audit.quality.panel import image_quality

    assert image_quality(NOW) is None


def test_the_planted_trade_is_seen_on_its_device_alone(network: None) -> None:
    found = {part["equipment"]: part["trade"] for part in _panel()["dose_and_quality"]}
    one, other = found["CT1"], found["CT2"]
    assert one["verdict"] == "unchanged"
    assert other["verdict"] == "dose_down_images_worse"
    assert other["dose"]["value"] == pytest.approx(0.64, rel=1e-6)
    assert other["quality"]["value"] == pytest.approx(1.25, rel=0.03)
    assert other["merit"]["low"] < 1 < other["merit"]["high"]
    assert "bought with worse images" in other["text"] and "is unchanged" in other["text"]


def test_states_name_the_noise_and_the_first_of_the_repeated_day(network: None) -> None:
    rows = {(row["equipment"], row["measurement"]): row for row in _panel()["states"]}
    assert (rows["CT2", "noise"]["state"], rows["CT2", "noise"]["judgement"]) == ("failed", "remedial")
    assert (rows["CT1", "noise"]["state"], rows["CT1", "noise"]["tone"]) == ("steady", "ok")
    # The repeat passed; the first scan of the day counts.
    assert (rows["CT1", "water"]["value"], rows["CT1", "water"]["state"]) == (8.0, "failed")


def test_a_repeat_until_pass_is_told(network: None) -> None:
    [repeat] = _panel()["repeats"]
    assert (repeat["day"], repeat["verdicts"], repeat["until_pass"]) == ("2026-06-22", ["remedial", "fit"], True)


def test_software_and_recorded_events_mark_the_trends(network: None) -> None:
    from dose_audit.store.models import Equipment
    from dose_audit.store.phantoms import record_event

    device = Equipment.objects.get(station_name="CT2")
    record_event(device.pk, "service", dt.datetime(2026, 5, 1), role="engineer", text="new tube")
    [row] = [one for one in _panel()["trends"] if (one["equipment"], one["measurement"]) == ("CT2", "noise")]
    assert [(mark["kind"], mark["text"]) for mark in row["marks"]] == [("software", "V2"), ("service", "new tube")]
    assert {mark["at"][:10] for mark in row["marks"]} == {"2026-05-01", _days(9)[8].date().isoformat()}
    # Levels about the baseline stand on the axis of the quantity.
    centre = row["baselines"][0]["value"]
    assert row["tolerance"]["remedial"] == pytest.approx([0.9 * centre, 1.1 * centre])


def test_sites_stand_side_by_side_and_devices_count_once(network: None) -> None:
    panel = _panel()
    [noise] = [part for part in panel["cross_site"] if part["measurement"] == "noise"]
    assert [(row["site"], row["n"]) for row in noise["rows"]] == [("North", 13), ("South", 12)]
    [merit] = panel["merit"]
    assert merit["figure"] == "noise_at_reference_ctdi"
    assert merit["network"]["n"] == 2 and merit["network"]["low"] is None
    assert merit["network"]["value"] == pytest.approx(5.0, rel=0.02)
    assert all(row["mean"]["low"] < 5.0 < row["mean"]["high"] for row in merit["devices"])


def test_images_that_tell_no_dose_have_no_figure_of_merit(store_run: Callable[..., Any]) -> None:
    for when in _days(4):
        store_run(when, ctdi=None)
    panel = _panel()
    assert (panel["merit"], panel["dose_and_quality"], panel["runs"]["analyses"]) == ([], [], 4)


def test_the_schedule_says_done_due_and_overdue(network: None) -> None:
    from dose_audit.quality.schedule import schedule
    from dose_audit.store.models import Equipment
    from dose_audit.store.phantoms import set_task

    device = Equipment.objects.get(station_name="CT2")  # last run on 8 June
    set_task(device.pk, "water-uniform", 14, since=dt.date(2026, 1, 1), role="expert", grace_days=3)
    states = [schedule(dt.date(2026, 6, day))[0].state for day in (21, 22, 25, 26)]
    assert states == ["done", "due", "due", "overdue"]
    assert schedule(dt.date(2026, 6, 30))[0].days_late == 5
    set_task(device.pk, "catphan504", 30, since=dt.date(2026, 6, 1), role="expert")
    [first, *_] = schedule(dt.date(2026, 6, 21))
    assert (first.definition, first.last) == ("catphan504", None)
    assert schedule(dt.date(2025, 12, 31)) == []


def test_commands_on_a_stored_network(network: None, home: Any) -> None:
    from typer.testing import CliRunner

    from dose_audit.cli import app
    from dose_audit.cli.common import CommandError

    def call(*words: str) -> Any:
        return CliRunner().invoke(app, [*words[:2], *words[2:], "--home", str(home.home)], catch_exceptions=True)

    trend = call("phantom", "trend", "--json")
    assert trend.exit_code == 3  # something wants attention
    assert {row["equipment"] for row in json.loads(trend.stdout)} == {"CT1", "CT2"}
    for row in json.loads(trend.stdout):
        # What it prints of a phantom, name or id, is taken back.
        for word in (row["phantom"], row["definition"]):
            back = call("phantom", "trend", "--equipment", row["equipment"], "--phantom", word, "--json")
            assert row in json.loads(back.stdout)
    wrong = call("phantom", "trend", "--phantom", "water-unifrm")
    assert isinstance(wrong.exception, CommandError) and "'water-uniform'" in str(wrong.exception)
    shown = call("phantom", "trend", "--equipment", "CT2", "--measurement", "noise")
    assert "out of tolerance, changed" in shown.stdout and "by expert: acceptance" in shown.stdout
    again = ("--equipment", "CT2", "--phantom", "water-uniform", "--role", "expert", "--reason", "new tube")
    refused = call("phantom", "baseline", "set", *again, "--since", "2026-04-26")
    assert isinstance(refused.exception, CommandError) and "record the event" in str(refused.exception)
    made = call(
        "phantom", "event", "add", "--equipment", "CT2", "--kind", "service", "--at", "2026-04-26", "--role", "engineer"
    )
    assert made.exit_code == 0
    [event] = json.loads(call("phantom", "event", "list", "--json").stdout)
    accepted = call("phantom", "baseline", "set", *again, "--since", "2026-04-26", "--event", str(event["id"]))
    assert accepted.exit_code == 0, accepted.exception
    listed = json.loads(call("phantom", "baseline", "list", "--equipment", "CT2", "--json").stdout)
    assert [row["event"] for row in listed if row["measurement"] == "noise"] == [event["id"], None]
    unknown = call("phantom", "trend", "--equipment", "nowhere")
    assert isinstance(unknown.exception, CommandError) and "CT1" in str(unknown.exception)


def test_a_repeat_of_the_day_is_not_called_accepted(store_run: Callable[..., Any], accept: Any, home: Any) -> None:
    from typer.testing import CliRunner

    from dose_audit.cli import app

    runs = [store_run(when) for when in _days(3)]
    store_run(_days(2)[1] + dt.timedelta(hours=2), noise=5.1)  # a repeat, between the runs that are accepted
    accept(runs)
    words = ("phantom", "trend", "--measurement", "noise", "--home", str(home.home))
    lines = [line for line in CliRunner().invoke(app, words).stdout.splitlines() if line.startswith("2026-")]
    assert ["repeat of the day" in line for line in lines] == [False, False, True, False]
    assert ["accepted" in line for line in lines] == [True, True, False, True]


def test_runs_measured_by_a_changed_definition_are_accepted_without_an_event(
    store_run: Callable[..., Any], accept: Any, home: Any
) -> None:
    from typer.testing import CliRunner

    from dose_audit.cli import app
    from dose_audit.quality.outdated import outdated_baselines
    from dose_audit.store.phantoms import BaselineError

    def trend() -> Any:
        return CliRunner().invoke(app, ["phantom", "trend", "--home", str(home.home)])

    accept([store_run(when, noise=5.0) for when in _days(8)])
    assert trend().exit_code == 0 and not outdated_baselines()
    # The new text measures a smaller region, of which the noise is 20 % more: the same images, measured anew.
    anew = [store_run(when, noise=6.0, text="other text") for when in _days(8)]
    seen = trend()
    assert seen.exit_code == 3  # no longer as usual, but by the definition
    assert "CT1, water-uniform: the baseline of noise, water rests on runs that an earlier text" in seen.stderr
    assert "no event is needed" in seen.stderr and f"--since {_days(1)[0]:%Y-%m-%d}" in seen.stderr
    accept(anew)  # from the same moment on
    assert trend().exit_code == 0 and not outdated_baselines()
    # A later run is judged by the new baseline, and the next one for this definition needs its event again.
    later = store_run(_days(9)[8], noise=6.1, text="other text")
    assert {row.name: row.judgement for row in later.measurements.all()} == {"noise": "pass", "water": "pass"}
    with pytest.raises(BaselineError, match="phantom event add"):
        accept([later])
