"""Projects of DeepLabCut made by tests, written as text."""

from pathlib import Path

from support.made_labels import draw_images

NAMES = ("img00.png", "img01.png", "img02.png")
PARTS = ("nose", "tail")


def sheet(
    scorer: str = "me", video: str = "vid1", parts: tuple[str, ...] = PARTS, names: tuple[str, ...] = NAMES, at: int = 5
) -> str:
    """One animal; joint k of image i is at (at + i, at + k)."""
    cells = [(part, axis) for part in parts for axis in "xy"]
    lines = [
        f"scorer,,,{','.join([scorer] * len(cells))}",
        f"bodyparts,,,{','.join(part for part, _ in cells)}",
        f"coords,,,{','.join(axis for _, axis in cells)}",
    ]
    for i, name in enumerate(names):
        numbers = (f"{at + i},{at + k}" for k in range(len(parts)))
        lines.append(f"labeled-data,{video},{name},{','.join(numbers)}")
    return "\n".join(lines) + "\n"


def add_folder(root: Path, video: str = "vid1", text: str | None = None, scorer: str = "me") -> Path:
    """Adds a folder of labeled-data with images and labels; returns the label file."""
    folder = root / "labeled-data" / video
    draw_images(folder, NAMES)
    path = folder / f"CollectedData_{scorer}.csv"
    path.write_text(sheet(scorer, video) if text is None else text, encoding="utf-8")
    return path


def write_config(root: Path, text: str) -> Path:
    path = root / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path
