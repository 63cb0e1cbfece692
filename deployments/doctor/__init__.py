"""doctor: checks everything that the jobs need, and says what to do where a check fails.

    python -m deployments.doctor [--json] [--notify] [--only CHECK,CHECK]

It needs no worker and no Prefect server, so that it can report that these are gone. In a clone without settings it
checks what `make up` runs there, with the settings of its processes. The exit code is as monitoring systems expect it:
0 all is well, 1 something needs attention, 2 a check fails.

--notify, for a timer, sends alerts to NOTIFY_URLS, once when a check starts to fail and once when it passes again. It
reports only what the watchdog cannot report, because the watchdog needs it too. The watchdog reports jobs that fail or
are overdue.
"""
