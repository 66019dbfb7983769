"""Judges a file of edges, or runs the door."""

import sys
from pathlib import Path

from .edges_file import EdgesError, read
from .server import Door


def main(arguments: list[str]) -> None:
    file = ""
    try:
        match arguments:
            case ["--check", file]:
                read(Path(file).read_text(encoding="utf-8"))
            case [file, port] if port.isdecimal():
                Door(Path(file)).run(int(port))
            case _:
                sys.exit("usage: python3 -m program --check EDGES\n       python3 -m program EDGES PORT")
    except (EdgesError, OSError, UnicodeDecodeError) as error:
        sys.exit(f"{file}: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
