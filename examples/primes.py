"""Print the first COUNT primes, one a line, over ten seconds; with --at-once as fast as it goes."""

import sys
import time
from itertools import count, islice


def primes():
    found = []
    for n in count(2):
        if all(n % p for p in found if p * p <= n):
            found.append(n)
            yield n


def main() -> None:
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    pause_s = 0 if "--at-once" in sys.argv else 10 / wanted
    began = time.monotonic()
    for number, prime in enumerate(islice(primes(), wanted), 1):
        print(f"prime {number} is {prime}")
        time.sleep(max(0, began + number * pause_s - time.monotonic()))


main()
