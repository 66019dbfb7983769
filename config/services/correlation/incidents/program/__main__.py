"""Judges rules, or runs a service: see `USAGE`."""

import sys
from pathlib import Path

from . import actions, rollback_door, rules
from .engine import Engine
from .healer import Healer
from .rollback_door import SOCKET, RollbackDoor
from .service import Service

USAGE = """usage: python3 -m program --check RULES
       python3 -m program RULES PORT
       python3 -m program --check-actions ACTIONS
       python3 -m program heal ACTIONS FOLDER PORT
       python3 -m program --check-rollbacks ROLLBACKS
       python3 -m program roll-back ROLLBACKS PORT"""


def main(arguments: list[str]) -> None:
    file = ""
    try:
        match arguments:
            case ["--check", file]:
                rules.read(Path(file).read_text(encoding="utf-8"))
            case ["--check-actions", file]:
                actions.read(Path(file).read_text(encoding="utf-8"))
            case ["heal", file, folder, port] if port.isdecimal():
                Healer(Path(file), Path(folder)).run(int(port))
            case ["--check-rollbacks", file]:
                rollback_door.read(Path(file).read_text(encoding="utf-8"))
            case ["roll-back", file, port] if port.isdecimal():
                RollbackDoor(Path(file), Engine(SOCKET)).run(int(port))
            case [file, port] if port.isdecimal():
                Service(Path(file)).run(int(port))
            case _:
                sys.exit(USAGE)
    except (rules.RulesError, OSError, UnicodeDecodeError) as error:
        sys.exit(f"{file}: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
