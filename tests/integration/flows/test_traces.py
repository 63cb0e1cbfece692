"""What Prefect tells OpenTelemetry of a run, as docs/observe.md has it.

OpenTelemetry's packages that send it are not part of the project; the API that Prefect calls is. A process of its own,
because a process has one provider of spans.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.make_up import environment
from support.project import ROOT

TRACED = """
import json, sys
from contextlib import contextmanager
from opentelemetry import trace

class Span(trace.NonRecordingSpan):
    def __init__(self, name, attributes):
        super().__init__(trace.INVALID_SPAN_CONTEXT)
        self.name, self.about = name, dict(attributes or {})
    def update_name(self, name):
        self.name = name
    def set_attribute(self, key, value):
        self.about[key] = value

class Tracer(trace.NoOpTracer):
    def start_span(self, name, *args, attributes=None, **more):
        spans.append(Span(name, attributes))
        return spans[-1]

class Provider(trace.NoOpTracerProvider):
    def get_tracer(self, *args, **more):
        return Tracer()

spans = []
trace.set_tracer_provider(Provider())
from flows.import_crm_data import main
code = main([sys.argv[1]])
ours = [span for span in spans if "prefect.run.type" in span.about]
print(json.dumps([[span.name, span.about] for span in ours], default=str))
sys.exit(code)
"""


@pytest.mark.slow
def test_a_run_is_a_span_and_so_is_each_step_and_parameters_are_not_in_them(
    database: str, prefect_api: str, tmp_path: Path
) -> None:
    workbook = tmp_path / "people.csv"
    workbook.write_text("Email,Last Name\nann@example.org,Lee\n")
    server = {"PREFECT_API_URL": prefect_api, "PREFECT_HOME": str(tmp_path / "prefect")}
    ended = subprocess.run(
        [sys.executable, "-c", TRACED, str(workbook)],
        cwd=ROOT,
        env=environment(DATABASE_URL=database, DATA_DIR=str(tmp_path / "var"), **server),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    spans = dict(json.loads(ended.stdout.splitlines()[-1]))
    assert {about["prefect.run.type"] for about in spans.values()} == {"flow", "task"}
    assert {"import-people.csv", "fetch-workbook", "evaluate-and-commit"} <= set(spans)
    assert spans["import-people.csv"]["prefect.run.parameter.workbook"] == "str"  # the type, and not the value
    assert str(tmp_path) not in json.dumps(spans)
    assert "ann@example.org" not in json.dumps(spans)
