"""`make up`: everything that the jobs need on one machine, started in order, supervised, and stopped again.

A database that DATABASE_URL or POSTGRES_* names, and a Prefect server that PREFECT_API_URL names, are used and left
running. `make up` starts what is not named. Started again after an update, it upgrades: it brings tables and
deployments up to date, and the import finds its workbook done. Only one `make up` runs for a DATA_DIR.
"""
