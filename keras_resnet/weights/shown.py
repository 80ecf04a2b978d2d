"""Text out of files in errors."""


def shown(text: object, most: int = 200) -> str:
    """What a file says, as it can stand in an error: on one line, without what steers a terminal, and without the middle if it is long."""
    line = " ".join(str(text)[: 4 * most].split()) if len(str(text)) > most else str(text)
    line = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)
    return line if len(line) <= most else f"{line[: most - 20]} ... {line[-10:]}"
