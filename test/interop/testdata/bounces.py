"""Prints what flufl.bounce finds in a report: flufl|kind||recipient|."""
import sys
from email import message_from_binary_file

from flufl.bounce import all_failures

with open(sys.argv[1], "rb") as file:
    temporary, permanent = all_failures(message_from_binary_file(file))
for kind, addresses in (("delayed", temporary), ("failed", permanent)):
    for address in sorted(addresses):
        print(f"flufl|{kind}||{address.decode()}|")
