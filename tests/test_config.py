"""Settings: order of sources, and refusals that name the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from dose_audit.config import SettingsError, load_settings


def test_command_line_before_environment_before_file(tmp_path: Path) -> None:
    (tmp_path / "dose-audit.toml").write_text('port = 1\naet = "FILE"\nworkers = 3\n')
    settings = load_settings(home=tmp_path, environment={"DOSE_AUDIT_PORT": "2", "DOSE_AUDIT_AET": "ENV"}, port=3)
    assert (settings.port, settings.aet, settings.workers) == (3, "ENV", 3)
    assert settings.source["port"] == "command line"
    assert settings.source["aet"] == "DOSE_AUDIT_AET"
    assert settings.source["workers"] == str(tmp_path / "dose-audit.toml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 1", "no setting 'prot'"),
        ("port = 70000", "expected 0 to 65535"),
        ("check_called_aet = 1", "expected a true or false"),
        ("drl_sets = 'uk'", "expected a list of text"),
        ("[[callers]]\nname = 'x'", r"callers entry 1 has unknown \['name'\]"),
        ("[[callers]]\nnetworks = ['not-an-address']", "callers entry 1 cannot be used"),
        ("[[routes]]\naet = 'X'", "routes entry 1 cannot be used"),
        ("audit_engine = 'sqlite'", "expected 'duckdb' or 'postgresql'"),
        ("audit_engine = 'postgresql'", "needs a database_url"),
        ("port = ", "not valid TOML"),
    ],
)
def test_refusals_name_file_and_setting(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "dose-audit.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=words) as caught:
        load_settings(home=tmp_path, environment={})
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_settings_in_another_encoding_are_refused_by_name(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "dose-audit.toml"
    path.write_text("network_name = 'Köln'", encoding=encoding)
    with pytest.raises(SettingsError, match="save it as UTF-8") as caught:
        load_settings(home=tmp_path, environment={})
    assert str(path) in str(caught.value)


def test_settings_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "dose-audit.toml").write_text("network_name = 'Köln'", encoding="utf-8-sig")
    assert load_settings(home=tmp_path, environment={}).network_name == "Köln"


def test_environment_that_is_no_number_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="DOSE_AUDIT_PORT: 'x' is not a whole number"):
        load_settings(home=tmp_path, environment={"DOSE_AUDIT_PORT": "x"})


def test_callers_become_rules(tmp_path: Path) -> None:
    (tmp_path / "dose-audit.toml").write_text('[[callers]]\naet = "CT*"\nnetworks = ["192.0.2.0/24"]\nsite = "North"\n')
    [rule] = load_settings(home=tmp_path, environment={}).callers
    assert rule.matches("CT1", "192.0.2.9", None) and not rule.matches("CT1", "198.51.100.1", None)
