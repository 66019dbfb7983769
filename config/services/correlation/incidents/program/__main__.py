"""``python3 -m program --check rules.json`` judges rules; ``python3 -m program rules.json 8406`` runs the service."""

import sys
from pathlib import Path

from .rules import RulesError, read
from .service import Service


def main(arguments: list[str]) -> None:
    try:
        match arguments:
            case ["--check", file]:
                read(Path(file).read_text(encoding="utf-8"))
            case [file, port] if port.isdecimal():
                Service(Path(file)).run(int(port))
            case _:
                sys.exit("usage: python3 -m program (--check RULES | RULES PORT)")
    except (RulesError, OSError, UnicodeDecodeError) as error:
        sys.exit(f"{file}: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
