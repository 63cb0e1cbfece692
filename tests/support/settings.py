"""Settings that a test changes."""

from db import engine as database_module


def forget_settings() -> None:
    """Read the settings from the environment again, and close the connections that were made with them."""
    from deployments.work_pool_settings import work_pool_settings
    from tasks.admission_settings import admission_settings
    from tasks.crm.download import fetching_settings
    from tasks.crm.settings import import_settings
    from tasks.prefect_server import server_settings

    for cached in (database_module.engine, database_module.lock_engine):
        if cached.cache_info().currsize:
            cached().dispose()
        cached.cache_clear()
    for each in (
        database_module.database_settings,
        admission_settings,
        import_settings,
        fetching_settings,
        server_settings,
        work_pool_settings,
    ):
        each.cache_clear()
