"""The rules of the fields: functions that take the text of a cell and return its value, or raise ValueError."""
