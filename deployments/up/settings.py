"""The settings of `make up`, and the environment that it gives to the server and the worker."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, field_validator

from db.errors import UserError
from db.private_files import is_own
from db.settings import env_file
from deployments.processes import MARK
from deployments.work_pool_settings import DEFAULT_WORK_POOL, WorkPoolSettings
from tasks.admission_settings import AdmissionSettings
from tasks.crm.download import located
from tasks.prefect_server import ServerSettings

SAMPLE = Path(__file__).parents[1] / "sample" / "crm_sample.xlsx"
TEMPORARY = "tmp"  # in DATA_DIR
_NOT_PASSED_ON = {
    *("PREFECT_PROFILE", "PREFECT_PROFILES_PATH"),  # name a profile that does not exist in our PREFECT_HOME
    # of the owner of the tables, and of people who query: nothing for jobs
    *("MIGRATION_DATABASE_URL", "MIGRATION_DATABASE_URL_FILE"),
    *("DATABASE_READER_PASSWORD", "DATABASE_READER_PASSWORD_FILE"),
}


class StartError(UserError):
    """`make up` cannot run; the message says why and what to do."""


class UpSettings(AdmissionSettings, ServerSettings, WorkPoolSettings):
    """The settings of `make up` itself, and those that it passes to the worker."""

    ui_port: int | None = Field(None, ge=1, le=65535, description="Port of the UI; empty: 4200, or the next free one")
    metrics_port: int | None = Field(
        None, ge=1, le=65535, description="Port of the metrics on 127.0.0.1; empty: `make up` serves none"
    )
    crm_workbook: SecretStr | None = Field(
        None,
        description="Path, glob or URL of the workbook; empty: for `make up` the sample, if the database is embedded, "
        "else none",
    )
    task_timezone: str = Field("UTC", description="Time zone of the schedules, like Europe/Berlin")

    @property
    def workbook(self) -> str | None:
        """The address of CRM_WORKBOOK, which may contain a password."""
        return self.crm_workbook.get_secret_value() if self.crm_workbook else None

    @field_validator("task_timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError("no such time zone; write it like Europe/Berlin") from error
        return name


@cache
def up_settings() -> UpSettings:
    """The settings, read once.

    Raises:
        SettingsError: names each wrong setting.
    """
    return UpSettings.load()


def environment_of_children(
    settings: UpSettings, data_dir: Path, mark: str, address: str | None, given: Mapping[str, str], *, embedded: bool
) -> dict[str, str]:
    """The environment of the server and the worker.

    Args:
        settings: of `make up`.
        data_dir: DATA_DIR.
        mark: the value of MARK, by which the processes are found again.
        address: the database's URL, with its password; None: the children read it themselves, from a file that may
            change.
        given: the environment of `make up`.
        embedded: whether the database is the embedded one, into which the sample may be imported.
    """
    ours = {
        MARK: mark,
        "DATA_DIR": str(data_dir),
        "TASK_TIMEZONE": settings.task_timezone,  # prefect.yaml reads it
        DEFAULT_WORK_POOL: settings.work_pool,  # of its deployments
        "TASK_MAX_INSTANCES": str(settings.task_max_instances),
        "TASK_MISFIRE_GRACE": str(settings.task_misfire_grace),
        "PREFECT_HOME": str(data_dir / "prefect"),
        "TMPDIR": _temporary_directory(data_dir, given),
        "PYTHONUNBUFFERED": "1",  # so that the logs are complete when a process dies
    }
    if address is not None:
        ours["DATABASE_URL"] = address
    if given.get("SETTINGS_FILE"):
        ours["SETTINGS_FILE"] = str(env_file().absolute())
    workbook = settings.workbook or (str(SAMPLE) if embedded else None)
    if workbook and not settings.is_in_file("crm_workbook"):
        # Absolute, because a worker runs its flows in a directory of its own.
        ours["CRM_WORKBOOK"] = located(workbook)
    for name in ("NO_PROXY", "no_proxy"):  # the processes must not reach each other through a proxy
        ours[name] = ",".join(filter(None, [given.get(name), "127.0.0.1", "localhost"]))
    defaults = {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",  # how soon a run whose process was killed can be noticed
        "PREFECT_WORKER_QUERY_SECONDS": "2",
    }
    return defaults | {name: value for name, value in given.items() if name not in _NOT_PASSED_ON} | ours


def _temporary_directory(data_dir: Path, given: Mapping[str, str]) -> str:
    """The TMPDIR of the operator if nobody else can write to it, else one in DATA_DIR.

    In a shared one, other users can take the names of temporary files first.
    """
    own = given.get("TMPDIR")
    return own if own and is_own(Path(own)) else str(data_dir / TEMPORARY)
