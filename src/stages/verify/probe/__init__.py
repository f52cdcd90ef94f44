"""Prove that an unpacked Python works where it is.

    <tree>/bin/python3.13 -I -B probe/__main__.py REQUEST.json

REQUEST.json says what the tree promises:

    prefix           where the tree is now
    compiled_prefix  the prefix that was given to configure
    modules          the extension modules that the recipe promises
    scripts          the artifact's own scripts in bin
    flavor           "runtime" or "builder"
    scratch          an empty directory to write to
    tls_cert         a PEM certificate for localhost, signed by itself,
    tls_key          and its key
    compiler         whether this root has a C compiler
    forbidden        strings that no sysconfig value may contain

One JSON object goes to standard output:

    {"checks": [{"name": "import:_ssl", "status": "passed", "detail": ""}, ...]}

A check is "passed", "failed" or "skipped". It is skipped only if the root
around the tree lacks something, never for something that the tree lacks. The
detail may have several lines. The exit code is 0 whenever the probe itself
could run.

The root may contain nothing but glibc, /dev and /tmp, and any module of the
tree may be broken. So these files import almost nothing at their top, and the
checks run in forked groups. The probe writes to the scratch directory alone,
and leaves no bytecode in the tree. It runs on Python 3.9 to 3.15.
"""
