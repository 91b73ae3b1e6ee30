"""``python -m dose_audit.cli``: the program without its launcher."""

from dose_audit.cli import main

main()
