"""doctor warns of a Prefect server that other machines reach and that answers anybody."""

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deployments.doctor.checks import Setup, check_password
from deployments.prefect_api import PrefectApi

Answer = Callable[[str | None], tuple[int, str]]  # of the header Authorization: status and body


def everybody(_sent: str | None) -> tuple[int, str]:
    return 200, '"3.7.8"'


def those_with_a_password(sent: str | None) -> tuple[int, str]:
    return (200, '"3.7.8"') if sent else (401, '{"exception_message": "Unauthorized"}')


def a_proxy_with_sign_in(_sent: str | None) -> tuple[int, str]:
    return 200, "<html>Sign in</html>"


@contextmanager
def serving(answer: Answer) -> Iterator[int]:
    """A server on loopback; yields its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self.headers.get("Authorization"))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(
    ("host", "answer", "verdict"),
    [
        ("127.0.0.1", everybody, "ok"),
        ("localhost", everybody, "ok"),
        ("0.0.0.0", everybody, "warning"),  # noqa: S104 - leads here, and is not an address of loopback
        ("0.0.0.0", those_with_a_password, "ok"),  # noqa: S104
        ("0.0.0.0", a_proxy_with_sign_in, "ok"),  # noqa: S104
    ],
)
def test_a_server_that_other_machines_reach_needs_a_password(
    tmp_path: Path, host: str, answer: Answer, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "ann:known")  # not sent
    monkeypatch.setenv("NO_PROXY", "*")
    with serving(answer) as port:
        server = PrefectApi(f"http://{host}:{port}/api", ours=False)
        [finding] = check_password(Setup(tmp_path, server))
    assert (finding.check, finding.verdict) == ("password", verdict)
    assert "ann:known" not in f"{finding}"
