"""What is raised for what a user can put right."""


class UserError(Exception):
    """Bad input, or a machine that lacks something. The message says the way out.

    The command line shows the message in one line and ends with exit code 2.
    """


class ConfigError(UserError, ValueError):
    """A setting that cannot work."""
