"""Digests and key derivation, by OpenSSL and by CPython's own code."""

import os

from .check import Skip, expect
from .commands import how_it_ended, python, run


# The digests of the three bytes "abc".
KNOWN_DIGESTS = {
    "md5": "900150983cd24fb0d6963f7d28e17f72",
    "sha1": "a9993e364706816aba3e25717850c26c9cd0d89d",
    "sha256": "ba7816bf8f01cfea414140de5dae2223"
              "b00361a396177a9cb410ff61f20015ad",
    "sha512": "ddaf35a193617abacc417349ae204131"
              "12e6fa4e89a97ea20a9eeee64b55d39a"
              "2192992a274fc1a836ba3c23a3feebbd"
              "454d4423643ce80e2a9ac94fa54ca49f",
    "sha3_256": "3a985da74fe225b2045c172d6bd390bd"
                "855f086e3e9d525b46bfe24511431532",
    "blake2b": "ba80a53f981c4d0d6a2797b69f12f6e9"
               "4c212f14685ac4b74b12bb6fdbffa2d1"
               "7d87c5392aab792dc252d5de4533cc95"
               "18d38aa8dbf1925ab92386edd4009923",
    "blake2s": "508c5e8c327c14e2e1a72ba34eeb452f"
               "37458b209ed63a294d999b4c86675982",
}


def expect_digests(kind, constructors):
    wrong = [name for name, constructor in constructors.items()
             if constructor(b"abc").hexdigest() != KNOWN_DIGESTS[name]]
    expect(not wrong, f"wrong digests by {kind}: {wrong}")
    return ", ".join(constructors)


def hashlib_built_in(_request):
    import hashlib
    expect_digests("hashlib", {name: getattr(hashlib, name)
                               for name in KNOWN_DIGESTS})
    # The fallbacks for an OpenSSL that is missing or refuses a digest.
    constructor = getattr(hashlib, "__get_builtin_constructor", None)
    return constructor and expect_digests("CPython's own code", {
        name: constructor(name) for name in KNOWN_DIGESTS})


def hashlib_openssl(_request):
    import _hashlib
    names = ("md5", "sha1", "sha256", "sha512", "sha3_256")
    return expect_digests("OpenSSL", {
        name: getattr(_hashlib, f"openssl_{name}") for name in names})


def hashlib_key_derivation(_request):
    import hashlib
    key = hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 1)
    expect(key.hex() == "120fb6cffcf8b32c43e7225256c4f837"
                        "a86548c92ccc35480805987cb70be17b", "pbkdf2_hmac")
    key = hashlib.scrypt(b"", salt=b"", n=16, r=1, p=1, dklen=32)
    expect(key.hex() == "77d6576238657b203b19ca42c18a0497"
                        "f16b4844e3074ae8dfdffa3fede21442", "scrypt")


# A configuration of OpenSSL that activates the legacy provider.
WITH_LEGACY = """
openssl_conf = openssl_init
[openssl_init]
providers = provider_sect
[provider_sect]
default = default_sect
legacy = legacy_sect
[default_sect]
activate = 1
[legacy_sect]
activate = 1
"""

# MD4 is legacy. The second line is the file of the provider, if the system says what is mapped.
MD4 = """
import hashlib
print(hashlib.new("md4", b"abc").hexdigest())
try:
    with open("/proc/self/maps", encoding="utf-8") as maps:
        # The path is the sixth field, and may have blanks.
        paths = [line.strip().split(None, 5)[-1] for line in maps if line.strip().endswith("/legacy.so")]
    print(paths[0])
except OSError:
    print()
"""


def legacy_provider(request):
    """OpenSSL's legacy provider is found, and it is that of the tree if the tree has one."""
    import ssl
    if ssl.OPENSSL_VERSION_INFO < (3,):
        raise Skip("OpenSSL 1 has no providers")
    configuration = request.scratch_path("legacy.cnf")
    with open(configuration, "w", encoding="utf-8") as file:
        file.write(WITH_LEGACY)
    own = "lib/ossl-modules/legacy.so"
    done = run(python("-c", MD4), env={"OPENSSL_CONF": configuration})
    if done.returncode != 0 and own not in request.loaded:
        raise Skip("this system has no legacy provider for its OpenSSL")
    expect(done.returncode == 0, how_it_ended(done))
    digest, path = done.stdout.splitlines()
    expect(digest == "a448017aaf21d8525fc10ae87aa6729d", f"the MD4 of abc is not {digest}")
    if path and own in request.loaded:
        wanted = os.path.realpath(os.path.join(request.prefix, own))
        expect(os.path.realpath(path) == wanted, f"it is {path}, not {wanted}")
