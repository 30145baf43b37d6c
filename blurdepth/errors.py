"""What can go wrong, as one tree.

    BlurdepthError              anything a person can be told about in one sentence
    ├── InputError              a value that was given is wrong; the message names it and the mend
    │   ├── NotFoundError       an id or a path that leads nowhere
    │   └── ConflictError       somebody else changed the thing in between
    ├── ModelError              a model can't be found, loaded or trusted
    ├── MemoryLimitError        the memory of the machine or of its GPU doesn't suffice
    ├── Cancelled               a person stopped the work; nothing is wrong
    └── StorageError            the data folder can't be read or written

A message says what is wrong, the value, and what to do about it. Only the page turns one of these into a
notice, and only the command line turns one into exit status 2.
"""


class BlurdepthError(Exception):
    """Anything a person can be told about in one sentence."""


class InputError(BlurdepthError):
    """A value that was given is wrong."""


class NotFoundError(InputError):
    """An id or a path that leads nowhere."""


class ConflictError(InputError):
    """Somebody else changed the thing in between."""


class ModelError(BlurdepthError):
    """A model can't be found, loaded or trusted."""


class MemoryLimitError(BlurdepthError):
    """The memory of the machine or of its GPU doesn't suffice."""


class Cancelled(BlurdepthError):  # noqa: N818
    """A person stopped the work; nothing is wrong."""


class StorageError(BlurdepthError):
    """The data folder can't be read or written."""
