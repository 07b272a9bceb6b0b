"""Errors that a user can cause. Each message is one line: expected, got, what to do."""

MAX_LENGTH = 2000
"""Characters of the longest message; of a longer one, the middle is omitted."""


class CairnError(Exception):
    """Base class of all errors; the command line prints it as one line and exits with a non-zero status.

    Messages quote names and values of files: control characters of these are escaped, so that the message stays one
    line that every terminal can print, and a message without end is shortened.
    """

    def __str__(self) -> str:
        text = super().__str__()
        if len(text) > MAX_LENGTH:
            text = f"{text[: MAX_LENGTH * 3 // 5]} ... {text[-MAX_LENGTH * 3 // 10 :]}"
        if text.isprintable():
            return text
        return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


class ImageError(CairnError):
    """An image is missing, unreadable, truncated or too large."""


class VideoError(CairnError):
    """A video, camera or image sequence cannot be opened, or not read or written to its end."""


class DamagedVideo(VideoError):
    """A video was read to its end, but frames are damaged."""


class SkeletonError(CairnError):
    """A skeleton is inconsistent, or keypoints do not match a skeleton."""


class LabelError(CairnError):
    """Annotations cannot be used as they are."""


class CameraError(CairnError):
    """Cameras or their calibration cannot be used, or do not fit the images."""


class CloudError(CairnError):
    """A point cloud, a mesh or its landmarks cannot be used."""


class ModelError(CairnError):
    """A model file is not a Cairn model, or a network does not match its specification."""


class RecipeError(CairnError):
    """A training recipe has an unknown key or an invalid value."""


class OutputError(CairnError):
    """A file or folder cannot be written."""


class MissingExtra(CairnError):
    """An optional dependency that an extra of Cairn installs is missing.

    Args:
        package: Name of the missing package.
        extra: Extra of the distribution that installs it.
        purpose: What needs it, such as the file format.
    """

    def __init__(self, package: str, extra: str, purpose: str = "this") -> None:
        super().__init__(f"{purpose} needs {package}, which is not installed: pip install 'cairn-pose[{extra}]'")


class MissingPackage(CairnError):
    """A package that no extra of Cairn installs is missing.

    Args:
        purpose: What needs it, such as the name of the method that was called.
        package: Name of the missing package.
    """

    def __init__(self, purpose: str, package: str) -> None:
        super().__init__(f"{purpose} needs {package}, which is not installed: pip install {package}")
