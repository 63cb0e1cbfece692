"""`make doctor` beside a running `make up`."""

import contextlib
import os
import signal
from pathlib import Path

import pytest
from support.doctor import doctor, failed
from support.make_up import Started, new_data_dir, processes_of, start
from support.receivers import a_webhook
from support.waiting import until


@pytest.mark.slow
def test_doctor_passes_for_make_up_and_reports_what_was_killed_and_what_works_again(migrated_prefect: Path) -> None:
    """Without database and server only doctor can report. Nothing is set here: it uses the settings of make up."""
    with a_webhook() as webhook, new_data_dir(migrated_prefect) as data_dir:
        started: Started = start(data_dir, NOTIFY_URLS=webhook.url)
        started.expect("import      Completed", 180)
        # The server plans the first runs some seconds after it was told of the schedules.
        until(lambda: doctor(data_dir)[0] == 0, "doctor is green", 60)
        assert webhook.got == []

        for process in processes_of(data_dir):  # a power cut, but for the disk
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        started.process.kill()
        started.process.wait(10)
        urls = {"NOTIFY_URLS": webhook.url}
        for _ in range(2):
            code, found = doctor(data_dir, "--notify", **urls)
            assert code == 2
            assert failed(found) == ["database", "server"]
        assert [each["title"] for each in webhook.got] == ["embassy-jobs: check failed: database, server"]

        again = start(data_dir, **urls)
        again.expect("import      Completed", 180)
        until(lambda: doctor(data_dir, "--notify", **urls)[0] == 0, "doctor is green again", 90)
        [again_well] = webhook.got[1:]
        assert again_well["title"].endswith(" passed again: database, server")

        again.stop()
