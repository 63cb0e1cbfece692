"""The command: python -m deployments.up."""

import sys

import httpx

from db.display import printable, redacted_in
from db.engine import database_settings
from db.errors import JobError
from deployments.up.settings import up_settings
from deployments.up.start import Up
from deployments.up.state import locked_data_dir
from deployments.up.stopping import Signals
from tasks.json_log import use_log_format
from tasks.prefect_server import export_secrets


def main() -> int:
    """Run `make up`; returns 0 when it was stopped, 1 with one plain sentence when it cannot start or continue."""
    signals = Signals()
    signals.listen()
    try:
        export_secrets()
        use_log_format()
        settings, data_dir = up_settings(), database_settings().data_dir
        with locked_data_dir(data_dir):
            Up(settings, data_dir, signals).run()
    except JobError as error:
        problem = str(error)
    except httpx.HTTPError as error:
        problem = f"the Prefect server did not answer as expected: {redacted_in(error)}"
    except OSError as error:
        problem = f"{error.strerror or error}: {error.filename or 'a file below DATA_DIR'}"
    else:
        return 0
    print(f"make up: {printable(problem)}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
