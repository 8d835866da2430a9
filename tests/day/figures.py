"""What the README and the chart state about memory, in MiB."""

PROCESS_MIB = 96
ACCOUNT_MIB = 208
