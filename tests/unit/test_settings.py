"""A wrong setting is one sentence that names it, wherever it is read, and never shows its value."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from db.settings import SettingsError
from tasks.admission_settings import admission_settings
from tasks.crm.download import fetching_settings as workbook_settings
from tasks.crm.settings import import_settings
from tasks.mofa.settings import fetching_settings as pages_settings
from tasks.mofa.settings import monitor_settings
from tasks.notify.channels import notify_settings
from tasks.watch.settings import watch_settings

READERS = {
    "TASK_MAX_INSTANCES": admission_settings,
    "TASK_MISFIRE_GRACE": admission_settings,
    "REJECT_LIMIT": import_settings,
    "WORKBOOK_MAX_BYTES": workbook_settings,
    "MOFA_CONCURRENCY": pages_settings,
    "MOFA_FOUND_AGAIN": monitor_settings,
    "NOTIFY_TIMEOUT": notify_settings,
    "KEEP_DAYS": watch_settings,
}


@pytest.mark.parametrize("variable", READERS)
def test_a_wrong_setting_names_its_variable_and_hides_its_value(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: Callable[[], Any] = READERS[variable]
    monkeypatch.setenv(variable, "s3cr3t")
    read.cache_clear()  # type: ignore[attr-defined]
    with pytest.raises(SettingsError, match=rf"^{variable}: .*\.env$") as refused:
        read()
    assert "s3cr3t" not in str(refused.value)
    monkeypatch.delenv(variable)
    read()
    read.cache_clear()  # type: ignore[attr-defined]


@pytest.mark.parametrize("variable", READERS)
def test_the_settings_file_is_read_and_an_empty_variable_does_not_hide_it(
    variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read: Callable[[], Any] = READERS[variable]
    (tmp_path / "settings").write_text(f"{variable}=s3cr3t\n")
    monkeypatch.setenv("SETTINGS_FILE", str(tmp_path / "settings"))
    monkeypatch.setenv(variable, "")
    read.cache_clear()  # type: ignore[attr-defined]
    with pytest.raises(SettingsError, match=rf"^{variable}: "):
        read()
    monkeypatch.undo()
    read.cache_clear()  # type: ignore[attr-defined]
