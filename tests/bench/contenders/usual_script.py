"""The row-by-row script: pandas with openpyxl; for each row a pydantic model, a select and an insert or update."""

import hashlib
import os

import pandas as pd
from loaded import Loaded
from pydantic import BaseModel, field_validator
from sqlalchemy import String, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

FIELDS = [
    *("organization", "first_name", "last_name", "title", "email", "phone"),
    *("street", "city", "country", "tags", "notes", "last_contacted"),
]


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "script"
    id: Mapped[int] = mapped_column(primary_key=True)
    hash: Mapped[str] = mapped_column(String(64), unique=True)


for field in FIELDS:
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


def run(workbook: str) -> Loaded:
    engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://"))
    Base.metadata.create_all(engine)
    frame = pd.read_excel(workbook, engine="openpyxl", dtype=str, keep_default_na=False)
    aside = 0
    with Session(engine) as session:
        for n, values in enumerate(frame.itertuples(index=False), 1):
            try:
                row = Row(**dict(zip(FIELDS, map(str, values), strict=True)))
            except ValueError:
                aside += 1
                continue
            digest = hashlib.sha256(f"{row.email}|{row.first_name}|{row.last_name}".lower().encode()).hexdigest()
            known = session.scalar(select(Person).where(Person.hash == digest))
            aside += known is not None
            person = known or Person(hash=digest)
            for field, value in row.model_dump().items():
                setattr(person, field, value or None)
            session.add(person)
            if n % 1000 == 0:
                session.commit()
        session.commit()
    return Loaded("script", aside)
