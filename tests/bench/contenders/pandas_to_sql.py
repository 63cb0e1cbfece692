"""pandas.read_excel with calamine, its fastest reader, and to_sql: all as text, no rules.

Of to_sql's settings for SQLAlchemy the default, INSERT by executemany, was the fastest (faster than
method="multi"), in chunks of 10,000 rows a little faster than in one. Faster still is the other connection that pandas
takes, ADBC, with which the rows go by COPY. What pandas and SQLAlchemy import when it is first needed is imported here,
before the time is taken.
"""

import os

import pandas as pd
import pandas.io.excel._calamine
import pandas.io.sql
from adbc_driver_postgresql import dbapi
from loaded import Loaded
from sqlalchemy import create_engine
from sqlalchemy.dialects.postgresql import psycopg  # noqa: F401 - see above

CHUNK = 10_000


def frame_of(workbook: str) -> pd.DataFrame:
    return pd.read_excel(workbook, engine="calamine", dtype=str, keep_default_na=False)


def inserted(workbook: str) -> Loaded:
    engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://"))
    frame_of(workbook).to_sql("frame", engine, index=False, chunksize=CHUNK)
    return Loaded("frame")


def copied(workbook: str) -> Loaded:
    with dbapi.connect(os.environ["DATABASE_URL"]) as connection:
        frame_of(workbook).to_sql("frame", connection, index=False)
        connection.commit()
    return Loaded("frame")
