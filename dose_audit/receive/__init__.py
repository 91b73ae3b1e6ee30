"""The front door: an object is safe on disk before anyone is told so.

Bytes come in by C-STORE (`listener`), from folders and archives (`scanner`) or are fetched; all of them end in the
`spool`, whose ledger knows the fate of each. Nothing here looks deeper into an object than it must to route it.
"""
