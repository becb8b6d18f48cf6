"""The command line. It speaks client, never services."""

import gc

# Before the commands' imports: collecting what imports make was a tenth of the CPU of `hawse ls`. Nothing here makes
# garbage in cycles by the thousand; what runs for hours (attach, logs -f) is still collected, only less often.
gc.set_threshold(50_000, 20, 100)
