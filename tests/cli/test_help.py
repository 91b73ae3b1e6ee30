"""Every command explains itself with an example, and answers quickly and with the documented exit codes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from dose_audit.cli import app


def _run(*words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dose_audit.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, **more)


def _commands() -> Iterator[tuple[list[str], Any]]:
    for info in app.registered_commands:
        yield [info.name or info.callback.__name__], info.callback
    for part in app.registered_groups:
        for info in part.typer_instance.registered_commands:
            yield [part.typer_instance.info.name, info.name or info.callback.__name__], info.callback


@pytest.mark.parametrize(
    ("words", "callback"), list(_commands()), ids=lambda value: "-".join(value) if isinstance(value, list) else ""
)
def test_every_command_has_an_example(words: list[str], callback: Any) -> None:
    assert f"Example: dose-audit {' '.join(words)}" in (callback.__doc__ or "")


@pytest.mark.parametrize(
    ("words", "callback"), list(_commands()), ids=lambda value: "-".join(value) if isinstance(value, list) else ""
)
def test_help_is_in_words_and_names_no_type_of_python(words: list[str], callback: Any) -> None:
    told = CliRunner().invoke(app, [*words, "--help"], prog_name="dose-audit")
    assert told.exit_code == 0
    usage = told.output.partition("\n\n")[0]
    assert "<" not in told.output
    assert usage.startswith(f"Usage: dose-audit {' '.join(words)} [OPTIONS]")
    for braces in ("{", "[[", "]]", "......", "list["):
        assert braces not in usage, usage


def test_help_names_the_commands_and_ends_well() -> None:
    done = _run("--help")
    assert done.returncode == 0
    for name in ("extract", "scan", "listen", "audit", "drl", "doctor", "demo", "report"):
        assert f"\n  {name}" in done.stdout


@pytest.mark.parametrize(
    "words",
    [["nosuch"], ["scan"], ["listen", "--port", "99999"], ["audit", "--since", "2026-02-01", "--until", "2026-01-01"]],
)
def test_wrong_usage_is_exit_code_2_in_one_line(words: list[str], tmp_path: Any) -> None:
    done = _run("--home", str(tmp_path), *words)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_failure_is_exit_code_1_in_one_line(tmp_path: Any) -> None:
    (tmp_path / "dose-audit.toml").write_text("port = 'many'\n")
    done = _run("--home", str(tmp_path), "doctor")
    assert done.returncode == 1
    assert "port is 'many', expected a whole number" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from dose_audit.cli import app; "
        "print([name for name in ('numpy', 'django', 'pydicom', 'duckdb', 'altair', 'rich.console') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    assert done.stdout.strip() == "[]"


def test_version_and_no_command_are_told_plainly() -> None:
    import dose_audit

    done = _run("--version")
    assert (done.returncode, done.stdout) == (0, f"dose-audit {dose_audit.__version__}\n")
    done = _run()
    assert done.returncode == 2
    assert "Usage: " in done.stderr and "dose-audit:" not in done.stderr and "--help shows how" not in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["drl", "show", "uk-adlt-ct"], 1, "Did you mean 'uk-adult-ct'?"),
        (["phantom", "make", "catphn504"], 2, "Did you mean 'catphan504'?"),
        (["report"], 1, "`dose-audit audit` makes one"),
        (["report", "--share", "--format", "board"], 2, "drawn without --share"),
        (["finding", "list"], 1, "the store cannot be used (file is not a database)"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_word_or_a_broken_store_is_one_line_that_helps(
    words: list[str], code: int, told: str, tmp_path: Any
) -> None:
    (tmp_path / "dose-audit.sqlite3").write_bytes(b"no database" * 100)
    done = _run("--home", str(tmp_path), *words)
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_home_that_cannot_be_written_to_is_named(tmp_path: Any) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    done = _run("--home", str(taken), "status")
    assert done.returncode == 1
    assert str(taken) in done.stderr and len(done.stderr.strip().splitlines()) == 1
