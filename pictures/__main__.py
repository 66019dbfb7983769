"""`python -m pictures`: writes `docs/pictures/`."""

import json
from pathlib import Path

from config.services.correlation.dashboard_files import OURS
from pictures import boards, budgets, flow

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"


def files() -> dict[Path, str]:
    """Path → content."""
    settings = budgets.defaults()
    svgs = {
        "flow": flow.flow(settings),
        "memory": budgets.memory(settings),
        "disk": budgets.disk(settings),
        **{
            uid: boards.layout(json.loads((OURS / f"{uid}.json").read_text())) for uid in ("overview", "golden-signals")
        },
    }
    return {FOLDER / f"{name}.svg": text for name, text in svgs.items()}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    texts = files()
    for file, text in texts.items():
        file.write_text(text)
    for file in set(FOLDER.glob("*.svg")) - texts.keys():
        file.unlink()


if __name__ == "__main__":
    main()
