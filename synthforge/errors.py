"""What is raised for what a user can put right, and how errors reach another process."""

import pickle


class UserError(Exception):
    """Bad input, or a machine that lacks something. The message says the way out.

    The command line shows the message in one line and ends with exit code 2.
    """


class ConfigError(UserError, ValueError):
    """A setting that cannot work."""


def picklable(error: Exception) -> Exception:
    """The error, or one of the same text if it cannot reach another process."""
    try:
        copy: Exception = pickle.loads(pickle.dumps(error))
        return copy
    except Exception:
        other = RuntimeError(f"{type(error).__name__}: {error}")
        for note in getattr(error, "__notes__", []):
            other.add_note(note)
        return other
