"""`python -m tests.inquiry.corpus` puts the corpus to the register and prints precision and recall; with `write` first
writes cases.jsonl anew from its rules."""

import sys

from tests.inquiry.corpus.cases import FILE, read, written
from tests.inquiry.corpus.rules import build
from tests.inquiry.corpus.run import ask, report

if sys.argv[1:] == ["write"]:
    FILE.write_text(written(build()), "utf-8")
cases = read()
sys.stdout.write(report(cases, [ask(case) for case in cases]) + "\n")
