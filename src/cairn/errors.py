"""What can go wrong by a user's hand. Each error is one line: expected, got, what to do."""


class CairnError(Exception):
    """Anything that the command line reports as one line and a non-zero exit status."""


class ImageError(CairnError):
    """An image that is missing, unreadable, truncated or too large."""


class VideoError(CairnError):
    """A video, camera or image sequence that cannot be opened, or not read or written to its end."""


class SkeletonError(CairnError):
    """A skeleton that contradicts itself, or keypoints that contradict a skeleton."""


class LabelError(CairnError):
    """Labels that cannot be used as they are."""


class ModelError(CairnError):
    """A model file that is not ours, or a network that does not match its specification."""


class RecipeError(CairnError):
    """A training recipe with an unknown name or an impossible value."""


class OutputError(CairnError):
    """A place that cannot be written to."""


class MissingExtra(CairnError):
    """An optional dependency is needed and absent."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"this needs {package}, which is not installed: pip install 'cairn-pose[{extra}]'")
