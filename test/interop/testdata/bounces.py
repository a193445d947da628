"""Prints what flufl.bounce finds in reports: file|flufl|kind||recipient|. It knows neither status nor cause."""
import sys
from email import message_from_binary_file

from flufl.bounce import all_failures

for name in sys.argv[1:]:
    with open(name, "rb") as file:
        temporary, permanent = all_failures(message_from_binary_file(file))
    for kind, addresses in (("delayed", temporary), ("failed", permanent)):
        for address in sorted(addresses):
            print(f"{name}|flufl|{kind}||{address.decode()}|")
