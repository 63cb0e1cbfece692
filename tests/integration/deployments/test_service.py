"""The units of `make service`: complete, understood by systemd where it is, and written where it is not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.project import ROOT

from deployments import service


def test_the_units_name_this_clone_and_its_python_and_are_written_again_over_old_ones(tmp_path: Path) -> None:
    for _ in range(2):
        written = service.write(tmp_path / "units")
    assert [unit.name for unit in written] == ["embassy-jobs-doctor.service", "embassy-jobs-doctor.timer", service.UP]
    up = (tmp_path / "units" / service.UP).read_text()
    assert f"WorkingDirectory={ROOT}\n" in up
    assert f'ExecStart="{sys.executable}" -m deployments.up\n' in up
    assert "deployments.doctor --notify" in (tmp_path / "units" / "embassy-jobs-doctor.service").read_text()
    assert not [unit for unit in written if "@" in unit.read_text()]


def test_a_percent_sign_in_a_path_is_none_of_systemds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "ROOT", Path("/srv/100%/jobs"))
    service.write(tmp_path)
    assert "WorkingDirectory=/srv/100%%/jobs\n" in (tmp_path / service.UP).read_text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze: apt install systemd")
def test_systemd_understands_them(tmp_path: Path) -> None:
    units = [str(unit) for unit in service.write(tmp_path)]
    verified = subprocess.run(["systemd-analyze", "--user", "verify", *units], capture_output=True, text=True)
    assert not [line for line in verified.stderr.splitlines() if "embassy-jobs" in line], verified.stderr


def test_without_systemd_that_is_said_and_the_units_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert service.main([]) == 1
    assert "systemd" in capsys.readouterr().err
    assert (tmp_path / "systemd" / "user" / service.UP).is_file()


def test_with_systemd_they_are_enabled_and_how_to_remove_them_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert service.main([]) == 0
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == ["--user daemon-reload", f"--user enable --now {service.UP} {service.TIMER}"]
    assert "systemctl --user disable --now" in capsys.readouterr().out


def test_only_written_where_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert service.main(["--to", str(tmp_path / "here")]) == 0
    assert len(list((tmp_path / "here").iterdir())) == 3
    assert "enabled" not in capsys.readouterr().out
