"""The municipality's issuing server over real TLS, with the gateway's own end dialling."""
