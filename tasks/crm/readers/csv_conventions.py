"""What writers of .csv do to cells so that other programs show them right, undone where a whole column follows it."""
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from tasks.crm.readers.table import Block

@dataclass(frozen=True)
class Conventions:
    told: list[str] = field(default_factory=list)
    def undone(self, block: Block) -> Block:
        return block

def find_conventions(blocks, triggers, first):
    return Conventions()
