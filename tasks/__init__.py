"""The steps of the flows, one package a job."""
