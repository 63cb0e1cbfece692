"""How the runs of each job ended (job_runs), and what the watchdog has done (watchdog_actions): for metrics."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE job_runs (
            name text NOT NULL,
            subject text NOT NULL,
            outcome text NOT NULL,
            runs bigint NOT NULL DEFAULT 1,
            last_at timestamptz NOT NULL DEFAULT now(),
            last_seconds double precision,
            CONSTRAINT job_runs_pkey PRIMARY KEY (name, subject, outcome)
        )""")
    op.execute("""
        CREATE TABLE watchdog_actions (
            action text NOT NULL,
            total bigint NOT NULL,
            CONSTRAINT watchdog_actions_pkey PRIMARY KEY (action)
        )""")
    # So that the last success of each job is known at once. A preview is no job of its own.
    op.execute("""
        INSERT INTO job_runs (name, subject, outcome, runs, last_at)
        SELECT name, subject, status, count(*), max(updated_at) FROM task_runs
        WHERE status IN ('completed', 'held') AND subject IS NOT NULL AND name NOT LIKE '%.preview'
        GROUP BY name, subject, status""")


def downgrade() -> None:
    op.execute("DROP TABLE watchdog_actions")
    op.execute("DROP TABLE job_runs")
