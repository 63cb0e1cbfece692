"""The tasks of the flows: one package for each subject."""
