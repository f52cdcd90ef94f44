"""Packs a binary of pykeel: an archive, a wheel, a Debian package, and an OCI archive.

    pack.py DIRECTORY PROCESSOR BINARY [RUNS]

RUNS writes the man pages and completions where BINARY is for another processor. $SOURCE_DATE_EPOCH is the time of every
file, so that the same binary gives the same bytes.
"""

import base64
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PACKAGE = tomllib.loads((TOP / "Cargo.toml").read_text())["package"]
VERSION, SUMMARY, LICENSE = PACKAGE["version"], PACKAGE["description"], PACKAGE["license"]
EPOCH = int(os.environ["SOURCE_DATE_EPOCH"])

# The names of a processor: to Debian and to OCI.
NAMES = {"x86_64": "amd64", "aarch64": "arm64"}
COMPLETIONS = {"bash": "bash-completion/completions/pykeel", "zsh": "zsh/site-functions/_pykeel",
               "fish": "fish/vendor_completions.d/pykeel.fish"}
LICENSES = ("LICENSE", "LICENSE-APACHE", "LICENSE-MIT")


def share(program):
    """What lies below share/: man pages and completions, path -> bytes."""
    files = {}
    with tempfile.TemporaryDirectory() as place:
        subprocess.run([program, "man", "--out", place], check=True, stdout=subprocess.DEVNULL)
        for page in sorted(Path(place).iterdir()):
            files[f"man/man1/{page.name}"] = page.read_bytes()
    for shell, path in COMPLETIONS.items():
        files[path] = subprocess.run([program, "completions", shell], check=True, stdout=subprocess.PIPE).stdout
    return files


def tar(files):
    """An uncompressed archive: path -> (bytes, mode). Directories come first."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        directories = sorted({str(parent) for path in files for parent in Path(path).parents} - {"."})
        for path, (content, mode) in [(name, (None, 0o755)) for name in directories] + sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.mtime, entry.mode = EPOCH, mode
            if content is None:
                entry.type = tarfile.DIRTYPE
                archive.addfile(entry)
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def compressed(data):
    return gzip.compress(data, 9, mtime=0)


def archive(directory, processor, binary, files):
    """What `cargo binstall` and people unpack."""
    name = f"pykeel-{VERSION}-{processor}-unknown-linux-musl"
    inside = {f"{name}/pykeel": (binary, 0o755)}
    inside |= {f"{name}/{licence}": ((TOP / licence).read_bytes(), 0o644) for licence in LICENSES}
    inside |= {f"{name}/share/{path}": (content, 0o644) for path, content in files.items()}
    (directory / f"{name}.tar.gz").write_bytes(compressed(tar(inside)))


def wheel(directory, processor, binary, files):
    """A static binary runs with any C library, so the wheel has the oldest tag of each."""
    tag = f"py3-none-manylinux_2_17_{processor}.manylinux2014_{processor}.musllinux_1_1_{processor}"
    data, info = f"pykeel-{VERSION}.data", f"pykeel-{VERSION}.dist-info"
    metadata = (f"Metadata-Version: 2.4\nName: pykeel\nVersion: {VERSION}\nSummary: {SUMMARY}\n"
                f"License-Expression: {LICENSE}\nRequires-Python: >=3.8\n"
                + "".join(f"License-File: {licence}\n" for licence in LICENSES)
                + "Description-Content-Type: text/markdown\n\n" + (TOP / "README.md").read_text())
    tags = "".join(f"Tag: py3-none-{part}\n" for part in tag.rpartition("-")[2].split("."))
    inside = {f"{data}/scripts/pykeel": (binary, 0o755)}
    inside |= {f"{data}/data/share/{path}": (content, 0o644) for path, content in files.items()}
    inside |= {
        f"{info}/METADATA": (metadata.encode(), 0o644),
        f"{info}/WHEEL": (f"Wheel-Version: 1.0\nGenerator: pykeel\nRoot-Is-Purelib: false\n{tags}".encode(), 0o644),
    }
    inside |= {f"{info}/licenses/{licence}": ((TOP / licence).read_bytes(), 0o644) for licence in LICENSES}
    record = [f"{path},sha256={urlsafe(content)},{len(content)}" for path, (content, _) in inside.items()]
    inside[f"{info}/RECORD"] = ("\n".join([*record, f"{info}/RECORD,,"]) + "\n").encode(), 0o644
    with zipfile.ZipFile(directory / f"pykeel-{VERSION}-{tag}.whl", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        for path, (content, mode) in inside.items():
            entry = zipfile.ZipInfo(path, time.gmtime(EPOCH)[:6])
            entry.create_system, entry.external_attr = 3, (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(entry, content)


def urlsafe(content):
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def debian(directory, processor, binary, files):
    """A package without dependencies: the binary is static. What it runs is recommended."""
    inside = {"usr/bin/pykeel": (binary, 0o755), "usr/share/doc/pykeel/copyright": (copyright_file().encode(), 0o644)}
    for path, content in files.items():
        # Debian's policy wants man pages compressed, and zsh's functions elsewhere.
        if path.startswith("man/"):
            path, content = f"{path}.gz", compressed(content)
        inside[f"usr/share/{path.replace('zsh/site-functions', 'zsh/vendor-completions')}"] = (content, 0o644)
    size = sum((len(content) + 1023) // 1024 for content, _ in inside.values())
    control = (f"Package: pykeel\nVersion: {VERSION}\nArchitecture: {NAMES[processor]}\n"
               f"Maintainer: the authors of pykeel <pykeel@localhost>\nInstalled-Size: {size}\n"
               f"Recommends: ca-certificates\nSection: devel\nPriority: optional\n"
               f"Description: CPython for containers, built from source\n {SUMMARY}.\n")
    sums = "".join(f"{hashlib.md5(content).hexdigest()}  {path}\n" for path, (content, _) in sorted(inside.items()))
    inside |= {"DEBIAN/control": (control.encode(), 0o644), "DEBIAN/md5sums": (sums.encode(), 0o644)}
    with tempfile.TemporaryDirectory() as place:
        # It becomes the root of whoever installs the package.
        Path(place).chmod(0o755)
        with tarfile.open(fileobj=io.BytesIO(tar(inside))) as tree:
            tree.extractall(place, filter="tar")
        # It takes the times from $SOURCE_DATE_EPOCH, and sorts the names.
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Zxz", "--build", place, directory], check=True,
                       stdout=subprocess.DEVNULL)


def copyright_file():
    return "".join(f"{(TOP / licence).read_text().rstrip()}\n\n" for licence in LICENSES)


def image(directory, processor, binary):
    """An OCI archive that `docker load` reads too: `COPY --from=… /pykeel /usr/local/bin/`."""
    layer = tar({"pykeel": (binary, 0o755)})
    packed, created = compressed(layer), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(EPOCH))
    labels = {"org.opencontainers.image.title": "pykeel", "org.opencontainers.image.version": VERSION,
              "org.opencontainers.image.licenses": LICENSE, "org.opencontainers.image.description": SUMMARY}
    config = document({
        "architecture": NAMES[processor], "os": "linux", "created": created,
        "config": {"Entrypoint": ["/pykeel"], "Cmd": ["--help"], "WorkingDir": "/", "Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        "history": [{"created": created, "created_by": "pykeel"}],
    })
    media = "application/vnd.oci.image"
    manifest = document({
        "schemaVersion": 2, "mediaType": f"{media}.manifest.v1+json",
        "config": {"mediaType": f"{media}.config.v1+json", **descriptor(config)},
        "layers": [{"mediaType": f"{media}.layer.v1.tar+gzip", **descriptor(packed)}],
        "annotations": labels,
    })
    tag = f"localhost/pykeel:{VERSION}"
    platform_ = {"architecture": NAMES[processor], "os": "linux"}
    names = {"org.opencontainers.image.ref.name": VERSION, "io.containerd.image.name": tag}
    index = document({
        "schemaVersion": 2, "mediaType": f"{media}.index.v1+json",
        "manifests": [{"mediaType": f"{media}.manifest.v1+json", **descriptor(manifest), "platform": platform_,
                       "annotations": names}],
    })
    blob = {digest(data): (f"blobs/sha256/{digest(data)[7:]}", data) for data in (config, packed, manifest)}
    loaded = document([{"Config": blob[digest(config)][0], "RepoTags": [tag], "Layers": [blob[digest(packed)][0]]}])
    inside = {path: (data, 0o644) for path, data in blob.values()}
    inside |= {"oci-layout": (document({"imageLayoutVersion": "1.0.0"}), 0o644), "index.json": (index, 0o644),
               "manifest.json": (loaded, 0o644)}
    (directory / f"pykeel-{VERSION}-{NAMES[processor]}.oci.tar").write_bytes(tar(inside))


def document(value):
    return json.dumps(value, separators=(",", ":")).encode()


def digest(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def descriptor(data):
    return {"digest": digest(data), "size": len(data)}


def main():
    directory, processor, path = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    binary = path.read_bytes()
    files = share(Path(sys.argv[4] if len(sys.argv) > 4 else path).resolve())
    archive(directory, processor, binary, files)
    wheel(directory, processor, binary, files)
    debian(directory, processor, binary, files)
    image(directory, processor, binary)


if __name__ == "__main__":
    main()
