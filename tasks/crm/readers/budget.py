"""What reading one workbook may cost beyond its own size. Exceeding a limit is a sentence that names its setting."""

from dataclasses import dataclass

from db.errors import UserError

FILLED_CELLS = 1 << 22
WRITTEN_MB = 8192
REASONS = 20  # of a rejected row that are kept


class BudgetError(UserError):
    """A workbook costs more than a setting allows."""


@dataclass
class Budget:
    """The limits of one workbook, and what was spent of them."""

    name: str  # of the workbook, for messages
    filled_cells: int = FILLED_CELLS  # of a sheet
    written_mb: int = WRITTEN_MB

    filled: int = 0  # cells of the sheet that is read
    written: int = 0  # bytes

    def begin_sheet(self) -> None:
        """Count the cells of another sheet, or of the same one from its beginning."""
        self.filled = 0

    def fill(self, cells: int) -> None:
        """Count cells that exist only because others are merged, repeated or span them. Raises BudgetError."""
        self.filled += cells
        if self.filled > self.filled_cells:
            raise BudgetError(
                f"{self.name} has merged or repeated cells that make more than {self.filled_cells:,} cells "
                "(IMPORT_FILLED_CELLS): undo the merging, and delete the rows and columns that hold no data"
            )

    def write(self, size: int) -> None:
        """Count bytes that were written. Raises BudgetError."""
        self.written += size
        if self.written > self.written_mb << 20:
            raise BudgetError(
                f"{self.name} becomes more than {self.written_mb:,} MB: split the file, leave columns out, or raise "
                "IMPORT_WRITTEN_MB if the disk has space for twice as much"
            )
