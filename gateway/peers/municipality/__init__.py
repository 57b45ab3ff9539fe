"""A municipality's issuing server (証明書発行サーバ), a peer on its own line.

It holds the municipality's resident data (here synthetic), checks for itself who asks, makes a certificate with the
centre's kit, seals it to the kiosk's session and signs the manifest. issuing: what may be issued, pure. contents: what
a certificate says, pure. making: the work from a request to a sealed document. store, records: what is kept, sealed.
"""
