"""The watchdog: backfills lost slots, resumes abandoned imports, and reports overdue jobs."""
