"""LOG_FORMAT=json: each line that a process writes is one JSON object. Real processes."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.json_lines import lines
from support.make_up import environment
from support.project import ROOT

from deployments.processes import Child
from tasks.json_log import PREFECT_SETTINGS, line, text_of

EVERYTHING = """
import logging, sys, threading, warnings
import prefect
from prefect import flow, get_run_logger
print("two", "words")
print("a list:\\n\\n- one\\n- two")
print("----")
print("INFO:     Started server process [1]")
print("no line break", end="", file=sys.stderr)
logging.getLogger("a.library").warning("first\\nsecond \\u2028 third")
warnings.warn("old")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("a.library").exception("it failed")
sys.stderr.write("\\nTraceback (most recent call last):\\n  File x\\nKeyError: 'a'\\n")
thread = threading.Thread(target=int, args=["x"])
thread.start()
thread.join()
print("the end", end="")
raise ValueError("cannot reach https://ann:pa55word@example.org/x?key=s3cret")
"""


def test_everything_that_a_process_writes_is_json(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", EVERYTHING],
        cwd=ROOT,
        env=environment(PREFECT_HOME=str(tmp_path), PYTHONIOENCODING="ascii", **PREFECT_SETTINGS),
        capture_output=True,
        text=True,
        timeout=60,
    )
    printed = [(each["level"], each["message"]) for each in lines(ended.stdout)]
    assert printed == [
        *(("INFO", text) for text in ("two words", "a list:", "- one", "- two")),
        ("INFO", "INFO: Started server process [1]"),
        ("INFO", "the end"),
    ]
    logged = {each["message"]: each for each in lines(ended.stderr)}
    assert logged["first\nsecond \u2028 third"]["logger"] == "a.library"
    assert logged["it failed"]["exception"].splitlines()[0] == "Traceback (most recent call last):"
    assert logged["it failed"]["exception"].splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert logged["KeyError: 'a'"]["exception"] == "Traceback (most recent call last):\n  File x\nKeyError: 'a'"
    assert logged["KeyError: 'a'"]["level"] == "ERROR"
    [warning] = [each for text, each in logged.items() if "UserWarning: old" in text]
    assert (warning["logger"], warning["level"]) == ("py.warnings", "WARNING")
    assert logged["no line break"]["level"] == "WARNING"
    of_thread, of_process = [each for each in logged.values() if each["logger"] == "uncaught"]
    assert "invalid literal for int()" in of_thread["message"]
    assert of_process["message"] == "ValueError: cannot reach https://example.org/x?key=***"
    assert of_process["exception"].endswith(of_process["message"])
    assert "pa55word" not in ended.stderr + ended.stdout
    assert "s3cret" not in ended.stderr + ended.stdout


def test_a_wrong_format_is_one_sentence(tmp_path: Path) -> None:
    for module in ("deployments.up", "flows.import_crm_data"):
        ended = subprocess.run(
            [sys.executable, "-m", module],
            cwd=ROOT,
            env=environment(LOG_FORMAT="xml", DATA_DIR=str(tmp_path / "var")),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ended.returncode == 1
        assert len(ended.stderr.splitlines()) == 1
        assert "LOG_FORMAT" in ended.stderr


def test_doctor_writes_a_line_for_each_finding(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "deployments.doctor"],
        cwd=ROOT,
        env=environment(LOG_FORMAT="json", DATA_DIR=str(tmp_path / "var")),
        capture_output=True,
        text=True,
        timeout=60,
    )
    found = {each["check"]: each for each in lines(ended.stdout)}
    assert ended.returncode == 2
    assert (found["database"]["verdict"], found["database"]["level"]) == ("failed", "ERROR")
    assert found["database"]["advice"]
    assert found["disk"]["level"] == "INFO"
    assert "advice" not in found["disk"]


@pytest.mark.parametrize("rest", [{}, {"exception": "Traceback (most recent call last):\n  x\nOSError: No space left"}])
def test_the_reason_of_a_death_is_found_in_json(rest: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    logged = [
        line("starting", "INFO", "x"),
        line("the port is bad" if rest else "error: bad port", "ERROR", "x", **rest),
    ]
    child = Child(
        "child", [sys.executable, "-c", f"print({chr(10).join([*logged, line('bye', 'INFO', 'x')])!r})"], {}, ROOT, log
    )
    child.start()
    assert child.process
    child.process.wait(30)
    assert child.reason() == ("the port is bad OSError: No space left" if rest else "error: bad port")


def test_a_line_of_text_stays_as_it_is() -> None:
    for text in ("", "plain", '{"a": 1}', '{"time": "'):
        assert text_of(text) == text
