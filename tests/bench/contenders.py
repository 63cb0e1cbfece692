"""The ways to bring a workbook into PostgreSQL that bench.py compares, each run in a process of its own.

    python contenders.py NAME WORKBOOK    (DATABASE_URL names an empty, migrated database)

Each prints its seconds from the moment it has its imports to the moment the rows are committed, import_crm_data to the
moment its run is Completed, report and all. (Prefect then waits up to a second for the thread of its heartbeat.)
"""

import io
import os
import sys
import time
from collections.abc import Callable


def floor(workbook: str) -> None:
    """calamine straight into COPY: no rules, no index, no memory of what was done."""
    import psycopg
    import python_calamine

    rows = python_calamine.CalamineWorkbook.from_path(workbook).get_sheet_by_index(0).iter_rows()
    columns = len(next(rows))
    table = ", ".join(f"c{n} text" for n in range(columns))
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE floor ({table})")
        with cursor.copy("COPY floor FROM STDIN") as copy:
            block = io.StringIO()
            for row in rows:
                line = "\t".join([str(cell) for cell in row])
                block.write((line.replace("\\", "\\\\") if "\\" in line else line) + "\n")
                if block.tell() > 1 << 18:
                    copy.write(block.getvalue())
                    block = io.StringIO()
            copy.write(block.getvalue())


def ours(workbook: str) -> float:
    """import_crm_data, through Prefect; PREFECT_API_URL names a running server. Returns the seconds since its end."""
    from flows.import_crm_data import import_crm_data

    state = import_crm_data(workbook, return_state=True)
    if not state.is_completed():
        raise SystemExit(state.message)
    return time.time() - state.timestamp.timestamp()


def script(workbook: str) -> None:
    """The usual script: pandas with openpyxl, a pydantic model a row, the ORM's select, then insert or update."""
    import hashlib

    import pandas as pd
    from pydantic import BaseModel, field_validator
    from sqlalchemy import String, create_engine, select
    from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

    fields = [
        *("organization", "first_name", "last_name", "title", "email", "phone"),
        *("street", "city", "country", "tags", "notes", "last_contacted"),
    ]

    class Base(DeclarativeBase):
        pass

    class Person(Base):
        __tablename__ = "script"
        id: Mapped[int] = mapped_column(primary_key=True)
        hash: Mapped[str] = mapped_column(String(64), unique=True)

    for field in fields:
        setattr(Person, field, mapped_column(String, nullable=True))

    class Row(BaseModel):
        organization: str
        first_name: str
        last_name: str
        title: str
        email: str
        phone: str
        street: str
        city: str
        country: str
        tags: str
        notes: str
        last_contacted: str

        @field_validator("email")
        @classmethod
        def looks_like_an_address(cls, value: str) -> str:
            if value and value.count("@") != 1:
                raise ValueError("no e-mail address")
            return value.strip().lower()

        @field_validator("last_name")
        @classmethod
        def is_there(cls, value: str) -> str:
            if not value.strip():
                raise ValueError("no last name")
            return value.strip()

    engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://"))
    Base.metadata.create_all(engine)
    frame = pd.read_excel(workbook, engine="openpyxl", dtype=str, keep_default_na=False)
    with Session(engine) as session:
        for n, values in enumerate(frame.itertuples(index=False), 1):
            try:
                row = Row(**dict(zip(fields, map(str, values), strict=True)))
            except ValueError:
                continue
            digest = hashlib.sha256(f"{row.email}|{row.first_name}|{row.last_name}".lower().encode()).hexdigest()
            person = session.scalar(select(Person).where(Person.hash == digest)) or Person(hash=digest)
            for field, value in row.model_dump().items():
                setattr(person, field, value or None)
            session.add(person)
            if n % 1000 == 0:
                session.commit()
        session.commit()


CONTENDERS: dict[str, Callable[[str], float | None]] = {"floor": floor, "import_crm_data": ours, "usual script": script}


def warm(name: str) -> None:
    """What a long-running worker has imported already is not part of the import's time."""
    import importlib

    needed = {
        "floor": ["psycopg", "python_calamine"],
        "import_crm_data": ["flows.import_crm_data"],
        "usual script": ["pandas", "openpyxl", "sqlalchemy.orm", "pydantic"],
    }
    for module in needed[name]:
        importlib.import_module(module)


if __name__ == "__main__":
    warm(sys.argv[1])
    begun = time.perf_counter()
    since_then = CONTENDERS[sys.argv[1]](sys.argv[2]) or 0.0
    print("seconds", time.perf_counter() - begun - since_then)
