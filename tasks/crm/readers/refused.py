"""The error that every reader of text formats raises."""


class UnreadableError(ValueError):
    """The file cannot be read. The message is the rest of a sentence that begins with the file's name.

    It has the reason and the next action, and never the value of a cell.
    """
