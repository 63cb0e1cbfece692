# One image for everything: worker, Prefect's servers, migrations, backups and doctor. The arguments of the container are
# the command; without any it is a worker of the work pool crm-pool.
#
#   docker build --tag embassy-jobs:0.1.0 .
#
# Nothing secret goes into it: settings come from the environment, passwords from files (…_FILE) where it runs.

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
WORKDIR /app
COPY requirements-image.lock ./
# --no-deps: the lock is complete, and pip would refuse the extra of sqlalchemy[asyncio] in hash mode.
RUN /opt/venv/bin/python -m pip install --no-deps --require-hashes -r requirements-image.lock
COPY pyproject.toml prefect.yaml README.md ./
COPY db ./db
COPY deployments ./deployments
COPY flows ./flows
COPY tasks ./tasks
# Installed in place, so that settings and prefect.yaml are found from any directory.
RUN /opt/venv/bin/python -m pip install --no-deps --no-build-isolation -e . && \
    /opt/venv/bin/python -m compileall -q db deployments flows tasks

FROM python:3.11-slim-bookworm
# The directories of /data and /backups belong to the user, also in new volumes.
RUN groupadd --gid 10001 jobs && \
    useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin jobs && \
    install --directory --owner=10001 --group=10001 --mode=0700 /data /backups
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    HOME=/data \
    DATA_DIR=/data/jobs \
    PREFECT_HOME=/data/prefect \
    PREFECT_UI_STATIC_DIRECTORY=/data/ui \
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY=30 \
    PREFECT_WORKER_QUERY_SECONDS=2 \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    DO_NOT_TRACK=1
WORKDIR /app
USER 10001:10001
# Of a worker: what it needs to take the next run. Exit code 1 of doctor is a warning, such as little space.
HEALTHCHECK --interval=1m --timeout=30s --start-period=2m --retries=3 \
    CMD ["sh", "-c", "python -m deployments.doctor --only database,migrations,server,worker,disk || [ $? = 1 ]"]
ENTRYPOINT ["python", "-m", "deployments.with_secrets"]
CMD ["prefect", "worker", "start", "--pool", "crm-pool", "--type", "process"]
