"""The refusal that every reader of text formats raises."""


class UnreadableError(ValueError):
    """What is wrong with the file and what to do, as the rest of a sentence that begins with the file's name.

    It never holds the value of a cell.
    """
