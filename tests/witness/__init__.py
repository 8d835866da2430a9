"""What every harness needs that holds the bridge to its word: records, the venue's ledger, processes, waiting.

Nothing here imports the code of the daemon (test_independence.py): what judges it must not share its mistakes.
"""
