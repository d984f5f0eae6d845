from __future__ import annotations

import pytest
from sqlalchemy import Column, Dialect, MetaData, Table, create_engine, insert, select, text
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.schema import CreateTable

from search.store.checked_columns import LargeWhole, Name, Prose, Real, Whole
from search.store.tables import Base

COLUMNS = {"name": Name(64), "prose": Prose(), "whole": Whole(), "large": LargeWhole(), "real": Real()}
TABLE = Table("checked", MetaData(), *(Column(name, kind) for name, kind in COLUMNS.items()))


@pytest.mark.parametrize(
    ("column", "stored", "is_right"),
    [
        ("name", "'a'", True),
        ("name", "x'61'", False),
        ("prose", "'a'", True),
        ("prose", "x'ff'", False),
        ("prose", "NULL", True),
        ("whole", "3", True),
        ("whole", "'3'", True),  # SQLite makes a number of it
        ("whole", "3.5", False),
        ("whole", "1e20", False),
        ("whole", "'three'", False),
        ("whole", "x'03'", False),
        ("large", "9223372036854775807", True),
        ("large", "9223372036854775808", False),
        ("real", "0.5", True),
        ("real", "1", True),
        ("real", "'half'", False),
        ("real", "x'00'", False),
    ],
)
def test_only_what_a_column_is_for_is_read_from_it(column: str, stored: str, is_right: bool) -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        TABLE.create(connection)
        connection.execute(text(f"INSERT INTO checked ({column}) VALUES ({stored})"))
        asked = select(TABLE.c[column])
        if is_right:
            connection.execute(asked).scalar_one()
        else:
            with pytest.raises(TypeError, match=r"^expected (text|a whole number|a number), got "):
                connection.execute(asked).scalar_one()
    engine.dispose()


def test_what_is_written_comes_back() -> None:
    engine = create_engine("sqlite://")
    row = {"name": "a", "prose": "b", "whole": 1, "large": 2**40, "real": 0.25}
    with engine.begin() as connection:
        TABLE.create(connection)
        connection.execute(insert(TABLE).values(row))
        assert dict(connection.execute(select(TABLE)).mappings().one()) == row
    engine.dispose()


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect(), mysql.dialect()])
def test_tables_are_those_of_plain_types(dialect: Dialect) -> None:
    made = str(CreateTable(TABLE).compile(dialect=dialect))
    assert "VARCHAR(64)" in made
    assert "BIGINT" in made
    assert "TEXT" in made


def test_every_column_of_ours_that_holds_texts_or_numbers_is_checked() -> None:
    plain = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if type(column.type).__module__.startswith("sqlalchemy")
        and type(column.type).__name__ not in ("Boolean", "DateTime")
    }
    assert plain == set()
