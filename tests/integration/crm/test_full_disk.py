"""An import for which the disk of the database is too small: it leaves the space to the next one."""

import psycopg
import pytest
from support.imports import ADA, BOB, CYD, done, partitions, query, run, workbook

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.mark.parametrize("full_at", ["import_staging", "contacts", "import_rejects"])
def test_what_it_staged_is_removed_and_the_next_import_works(database: str, tmp_path, full_at: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("""
            CREATE FUNCTION is_full() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$""")
        connection.execute(
            f"CREATE TRIGGER full_disk AFTER INSERT ON {full_at} FOR EACH ROW EXECUTE FUNCTION is_full()"
        )
    book = workbook(tmp_path / "crm.xlsx", ADA, BOB, [*CYD[:3], "no address", *CYD[4:]])
    failed = run(book)
    assert failed.is_failed()
    assert "no space left" in (failed.message or "")
    assert partitions() == []
    assert query("SELECT status, attempts FROM task_runs") == [("failed", 1)]
    assert query("SELECT pg_relation_size('contacts'), pg_relation_size('import_rejects')") == [(0, 0)]
    with psycopg.connect(database) as connection:
        connection.execute(f"DROP TRIGGER full_disk ON {full_at}")
    assert done(workbook(tmp_path / "small.xlsx", ADA))["inserted"] == 1
    assert done(book)["rejected"] == 1
    assert partitions() == []
