"""The names of the Prefect states that runs of our jobs end in, beside Prefect's own."""

HELD = "Held"  # completed, but a person must decide
MISSED = "Missed"  # cancelled: the run could not start in time
SKIPPED = "Skipped"  # cancelled: another run was running
