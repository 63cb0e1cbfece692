"""How a number of things is written for people."""


def counted(number: int, noun: str) -> str:
    """The number with its noun: "1 row", "2,000 rows", "3 processes"."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun}{'es' if noun.endswith('s') else 's'}"
