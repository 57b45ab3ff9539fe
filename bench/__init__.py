"""The load generator: `python -m bench` makes a centre, asks it, and says how fast and at what cost it answered.

Not shipped to a production host's service: it makes its own centre with synthetic residents.
Source: README.md.
"""
