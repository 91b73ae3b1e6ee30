"""The demonstration network: valid DICOM of three fictional sites over six months, with every planted truth
known.

It travels with the package so that an installed ``dose-audit demo`` needs nothing else. ``network`` and
``cohorts`` say what is there, ``planted`` what is wrong, ``plan`` who is exposed when, and ``write`` puts it
on disk.
"""
