"""Prints the cells of a CSV file on standard input as JSON: a list of objects by the names of the first row."""
import csv
import io
import json
import sys

text = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="strict", newline="")
json.dump(list(csv.DictReader(text, strict=True)), sys.stdout)
