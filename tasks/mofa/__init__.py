"""The steps of mofa_monitoring."""
