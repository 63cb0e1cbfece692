"""What a process wrote with LOG_FORMAT=json."""

import json
from typing import Any


def lines(output: str) -> list[dict[str, Any]]:
    """Each line as its fields; a line that is no JSON object with what every line has fails the test."""
    found = []
    for each in output.splitlines():
        fields = json.loads(each)
        assert list(fields)[:4] == ["time", "level", "logger", "message"], each
        assert fields["time"].endswith("+00:00"), each
        found.append(fields)
    return found
