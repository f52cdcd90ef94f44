"""Which CA certificates a default context of the ssl module loads."""

import os

from .check import expect, promised
from .tls import client_context, tls_exchange


def certificate_checks(request):
    return promised(request, [
        ("tls:certificates:places", certificates_places, ["_ssl"]),
        ("tls:certificates:debian", certificates_debian, ["_ssl"]),
        ("tls:certificates:redhat", certificates_redhat, ["_ssl"]),
        ("tls:certificates:none", certificates_none, ["_ssl"]),
        ("tls:certificates:broken", certificates_broken, ["_ssl"]),
        ("tls:certificates:openssl", certificates_openssl, ["_ssl"]),
        ("tls:certificates:environment", certificates_environment, ["_ssl"]),
        ("tls:certificates:handshake", certificates_handshake, ["_ssl"]),
    ])


def certificates_places(_request):
    """The patched ssl module searches these places; report what it finds here."""
    import ssl
    wanted = ("/etc/ssl/certs/ca-certificates.crt",
              "/etc/pki/tls/certs/ca-bundle.crt")
    places = getattr(ssl, "_FALLBACK_CAFILES", None)
    expect(places is not None, "ssl.py is without its patch")
    expect(places == wanted, f"ssl looks for {places}")
    found = ssl.get_default_verify_paths()
    return f"here: cafile {found.cafile}, capath {found.capath}"


def certificates_debian(request):
    expect_fallback(request, "debian", first=True)


def certificates_redhat(request):
    expect_fallback(request, "redhat", first=False)


def expect_fallback(request, name, first):
    """One more certificate is loaded if one of the two places exists."""
    cafile = certificate_copy(request, name)
    missing = request.scratch_path("missing.crt")
    fallbacks = (cafile, missing) if first else (missing, cafile)
    with CertificatePlaces(request, fallbacks) as places:
        places.expect_loaded(1, cafile)


def certificates_none(request):
    with CertificatePlaces(request, (request.scratch_path("missing.crt"),)) as places:
        places.expect_loaded(0, None)


def certificates_broken(request):
    """A damaged file must not make create_default_context fail."""
    cafile = request.scratch_path("broken.crt")
    with open(cafile, "w", encoding="ascii") as file:
        file.write("-----BEGIN CERTIFICATE-----\nbroken\n")
    with CertificatePlaces(request, (cafile,)) as places:
        places.expect_loaded(0, cafile)


def certificates_openssl(request):
    """Nothing is added if OpenSSL's own directory has certificates."""
    cafile = certificate_copy(request, "unused")
    directory = request.scratch_dir("hashed")
    certificate_copy(request, "hashed/0a1b2c3d.0", suffix="")
    with CertificatePlaces(request, (cafile,), capath=directory) as places:
        places.expect_loaded(0, None)


def certificates_environment(request):
    """SSL_CERT_FILE replaces the places of the distribution."""
    import ssl
    missing = request.scratch_path("missing.crt")
    named = certificate_copy(request, "named")
    with CertificatePlaces(request, (certificate_copy(request, "unused"),)):
        for cafile, count in ((named, 1), (missing, 0)):
            os.environ["SSL_CERT_FILE"] = cafile
            try:
                loaded = certificates_loaded()
                reported = ssl.get_default_verify_paths().cafile
            finally:
                del os.environ["SSL_CERT_FILE"]
            expect(loaded == count, f"SSL_CERT_FILE={cafile}: {loaded} loaded")
            expect(reported == (cafile if count else None),
                   f"SSL_CERT_FILE={cafile}: {reported} is reported")


def certificates_handshake(request):
    """A default context trusts the certificates in the distribution's file."""
    cafile = certificate_copy(request, "trusted")
    with CertificatePlaces(request, (cafile,)):
        reply, _, _ = tls_exchange(request, client_context())
    expect(reply == b"HELLO", f"the reply is {reply!r}")


def certificate_copy(request, name, suffix=".crt"):
    """Copy the certificate into the scratch directory; return the path."""
    target = request.scratch_path(name + suffix)
    with open(request.tls_cert, "rb") as source, open(target, "wb") as copy:
        copy.write(source.read())
    return target


class CertificatePlaces:
    """Make the ssl module behave as in a root where only these places have certificates."""

    def __init__(self, request, fallbacks, capath=None):
        self.fallbacks = fallbacks
        missing = request.scratch_path("missing")
        self.openssl = ("SSL_CERT_FILE", missing, "SSL_CERT_DIR", capath or missing)

    def __enter__(self):
        import _ssl
        import ssl
        self.saved = ssl._FALLBACK_CAFILES, _ssl.get_default_verify_paths
        _ssl.get_default_verify_paths = lambda: self.openssl
        # OpenSSL loads certificates from its own places in any case, so these are
        # counted first.
        ssl._FALLBACK_CAFILES = ()
        self.without_fallback = certificates_loaded()
        ssl._FALLBACK_CAFILES = self.fallbacks
        return self

    def __exit__(self, *_):
        import _ssl
        import ssl
        ssl._FALLBACK_CAFILES, _ssl.get_default_verify_paths = self.saved

    def expect_loaded(self, count, cafile):
        import ssl
        loaded = certificates_loaded() - self.without_fallback
        expect(loaded == count, f"{loaded} certificates were loaded, not {count}")
        reported = ssl.get_default_verify_paths().cafile
        expect(reported == cafile, f"{reported} is reported as cafile")


def certificates_loaded():
    """Return how many certificates a new default context has."""
    import ssl
    return ssl.create_default_context().cert_store_stats()["x509"]
