"""Why an object could not be read: a small family of exceptions with one-line messages for people."""


class ReadError(ValueError):
    """An object that cannot be read; the message is one line and holds nothing from the patient's data."""


class NotDicom(ReadError):
    """The bytes are not a DICOM object."""


class Truncated(ReadError):
    """The object ends in the middle of an element."""


class TooLarge(ReadError):
    """The object, a value or a count is above its limit."""


class TooDeep(ReadError):
    """Sequences are nested deeper than the limit."""


class Malformed(ReadError):
    """The bytes begin as DICOM and then break its rules beyond repair."""
