"""A note of a study in a database, as a text that is compared and swapped in one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Engine, Executable

__all__ = ["NoteCell"]


class NoteCell:
    """One key of Optuna's table of study attributes."""

    def __init__(self, engine: Engine, study_id: int, key: str) -> None:
        from sqlalchemy import column, table

        self._engine, self._place = engine, {"study_id": study_id, "key": key}
        self._table = table(
            "study_user_attributes", column("study_id"), column("key"), column("value_json")
        )
        columns = self._table.c
        self._is_here = (columns.study_id == study_id) & (columns.key == key)

    def read(self) -> str | None:
        """What stands there; ``None``: nothing."""
        query = self._table.select().where(self._is_here)
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else str(row.value_json)

    def swap(self, old: str | None, new: str | None) -> bool:
        """Puts ``new`` where ``old`` stands; false, and nothing is done, where it does not."""
        from sqlalchemy.exc import IntegrityError

        still = self._is_here & (self._table.c.value_json == old)
        statement: Executable
        if old is None:
            statement = self._table.insert().values(**self._place, value_json=new)
        elif new is None:
            statement = self._table.delete().where(still)
        else:
            statement = self._table.update().where(still).values(value_json=new)
        try:
            with self._engine.begin() as connection:
                return bool(connection.execute(statement).rowcount == 1)
        except IntegrityError:
            return False
