"""What a table of names says about one family of networks, in the words of one source."""

import dataclasses

BLOCK = r"stage(?P<s>\d+)_block(?P<b>\d+)"


@dataclasses.dataclass(frozen=True)
class Family:
    """How a source names one family's variables.

    Args:
        modules: our module paths on the left, theirs on the right. Names in braces take what the pattern found, and what
            `layout._places` adds.
        head: the pattern of the classifier's keys.
        trailing: patterns of keys, and how many axes of length 1 stand behind ours there.
        order: the order of a block's children in the source, where that matters.
    """

    modules: tuple[tuple[str, str], ...]
    head: str
    trailing: tuple[tuple[str, int], ...] = ()
    order: tuple[str, ...] = ()
