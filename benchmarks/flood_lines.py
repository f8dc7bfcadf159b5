"""What the job of `flood` runs: `python3 -c … COUNT` writes so many lines as fast as it can."""

import sys


def lines(first: int, last: int) -> bytes:
    return b"".join(b"step %d loss 0.%06d\n" % (number, number * 7919 % 1_000_000) for number in range(first, last))


if __name__ == "__main__":
    count = int(sys.argv[1])
    for first in range(0, count, 1000):
        sys.stdout.buffer.write(lines(first, min(first + 1000, count)))
