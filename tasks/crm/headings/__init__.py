"""Headings: finds their row on a sheet (`heading_row.py`) and maps columns to fields (`column_mapping.py`)."""
