"""The watchdog: backfills lost slots, resumes abandoned imports, and notices silent jobs."""
