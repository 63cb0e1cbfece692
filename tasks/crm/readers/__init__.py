"""Readers of workbooks: every format gives the same thing, blocks of text columns (`table.py`)."""
