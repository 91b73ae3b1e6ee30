"""One engine that receives DICOM, extracts dose and audits it across an imaging network.

The pure floors (``extract``, ``statistics``, ``drl`` and the rooms that follow) are a library: they import nothing
that needs a database or settings. Import what you need from the room that has it.
"""

__version__ = "0.1.0"
