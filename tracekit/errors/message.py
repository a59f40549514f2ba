"""What every error of tracekit is."""


class TracekitError(Exception):
    """A message for the user, in one paragraph; `exit_code` is what the process ends with."""

    exit_code = 2
