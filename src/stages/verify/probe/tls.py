"""TLS connections over loopback."""

from .check import Failure, expect, promised
from .sockets import connected_sockets


def tls_checks(request):
    return promised(request, [
        ("tls:handshake", tls_handshake, ["_ssl"]),
        ("tls:untrusted", tls_untrusted, ["_ssl"]),
        ("tls:wrong-name", tls_wrong_name, ["_ssl"]),
    ])


def tls_exchange(request, client_context, name="localhost"):
    """Send a line to a TLS server in a thread; return the reply, TLS version and transport."""
    import ssl
    import threading
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(request.tls_cert, request.tls_key)
    server, client, transport = connected_sockets()

    def serve():
        try:
            with server_context.wrap_socket(server, server_side=True) as channel:
                channel.sendall(channel.recv(100).upper())
        except OSError:  # the client reports the error
            server.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        with client_context.wrap_socket(client, server_hostname=name) as channel:
            channel.sendall(b"hello")
            return channel.recv(100), channel.version(), transport
    finally:
        client.close()
        thread.join(10)


def client_context(cafile=None):
    """Return a context that verifies, but not as strictly as Python 3.13 does by default.

    VERIFY_X509_STRICT is about how well a CA follows RFC 5280, which depends on
    the version of OpenSSL and not on the tree.
    """
    import ssl
    context = ssl.create_default_context(cafile=cafile)
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    return context


def tls_handshake(request):
    import ssl
    context = client_context(request.tls_cert)
    reply, version, transport = tls_exchange(request, context)
    expect(reply == b"HELLO", f"the reply is {reply!r}")
    expect(version == "TLSv1.3", f"the version is {version}")
    return f"{ssl.OPENSSL_VERSION}, {version} {transport}"


def expect_refusal(request, context, name):
    """Fail unless the client rejects the certificate; return why it does."""
    import ssl
    try:
        tls_exchange(request, context, name)
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    raise Failure("the certificate was accepted")


def tls_untrusted(request):
    import ssl
    # This context has no CA certificates, whatever this root has.
    return expect_refusal(request, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
                          "localhost")


def tls_wrong_name(request):
    return expect_refusal(request, client_context(request.tls_cert),
                          "wrong.example")
