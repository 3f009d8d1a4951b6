"""Read text files with an entry on each line."""

from pathlib import Path

from openmagvit2.errors import UserError


def read_lines(path: str | Path) -> list[tuple[int, str]]:
    """Read the nonempty lines, stripped, each with its number from 1.

    The text is UTF-8, with or without a byte order mark; lines may end as on any system.

    Raises:
        UserError: The file cannot be read, or is not UTF-8.
    """
    try:
        content = Path(path).read_bytes().removeprefix(b'\xef\xbb\xbf')
    except OSError as error:
        raise UserError(f'{path} cannot be read: {error.strerror}.') from error
    lines = []
    for number, line in enumerate(content.splitlines(), 1):
        try:
            text = line.decode('utf-8').strip()
        except UnicodeDecodeError:
            text = '\0'
        # UTF-16 without accents is valid UTF-8, in which every other byte is zero.
        if '\0' in text:
            raise UserError(f'{path}, line {number}: this is not UTF-8; save the file as UTF-8.')
        if text:
            lines.append((number, text))
    return lines
