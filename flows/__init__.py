"""The flows: each is the table of contents of a job. Admission decides when a run may start."""
