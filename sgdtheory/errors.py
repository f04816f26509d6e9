"""The one shape of an argument error: name, value, what is allowed, the likely fix."""

from __future__ import annotations


class ArgumentError(ValueError):
    """A bad argument, refused before any work starts.

    Parameters
    ----------
    argument : str
        Name of the argument, as the caller wrote it.
    value : object
        What was given.
    allowed : str
        What may stand there.
    fix : str, optional
        The likely remedy.

    Examples
    --------
    >>> raise ArgumentError("lr", -0.1, "a number > 0", "drop the minus sign: the step already descends")
    Traceback (most recent call last):
    sgdtheory.errors.ArgumentError: lr: got -0.1; allowed: a number > 0. Fix: drop the minus sign: the step already \
descends.
    """

    def __init__(self, argument: str, value: object, allowed: str, fix: str = "") -> None:
        shown = value if isinstance(value, str) else repr(value)
        if len(shown) > 120:
            shown = shown[:117] + "..."
        super().__init__(argument, shown, allowed, fix)  # all text, so that the error can be sent between processes

    def __str__(self) -> str:
        argument, shown, allowed, fix = self.args
        return f"{argument}: got {shown}; allowed: {allowed}." + (f" Fix: {fix}." if fix else "")


class NoClosedFormError(NotImplementedError):
    """A symbolic quantity was asked for that these tools cannot give in closed form."""


class LostBlocksWarning(RuntimeWarning):
    """Workers of an executor died or left; what they had in hand was run again here, with the same numbers.

    Examples
    --------
    >>> import warnings
    >>> warnings.simplefilter("error", LostBlocksWarning)  # to be stopped instead
    """
