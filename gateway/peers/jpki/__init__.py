"""A certificate authority of cards for tests (試験用): its cards, revocation lists and OCSP responder.

It stands in for the public personal authentication service (公的個人認証サービス, JPKI). Its certificates name nobody,
its keys lie in files, and nothing it signs is of any use outside tests and the demo.
"""
