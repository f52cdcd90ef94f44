//! The longer texts of `--help`: what commands are used for, by examples.

pub(super) const TOP_HELP: &str = "\
Examples:
  pykeel build 3.13 --install-deps --out dist    build the newest 3.13, with its tarball in dist/
  pykeel install 3.13                            install it into /opt/myorg/python-3.13
  pykeel install 3.13 --root /out                install it into a root for COPY --from
  pykeel verify /opt/myorg/python-3.13           check what is installed there

Exit codes: 0 done, 1 the build failed, 2 usage or recipe error, 3 a source cannot be fetched,
4 verification failed, 5 something is locked, full or not permitted, 130 interrupted.";

pub(super) const BUILD_HELP: &str = "\
Examples:
  pykeel build 3.13                              the newest release of a series
  pykeel build 3.13.5 --flavor all --out dist    runtime and builder tarballs from one compilation
  pykeel build 3.11 3.12 3.13                    several versions in parallel
  pykeel build 3.13 --bytecode unchecked-hash    ship .pyc files: larger, and faster to start
  pykeel build 3.13 --configure-arg --without-doc-strings
                                                 one more argument of configure
  pykeel build 3.13 --mirror /srv/sources        read the source archive from a directory
  pykeel build 3.13 --timings=timings.html       where the time goes, as an HTML page
  pykeel build 3.13 --dry-run --json             the plan as JSON, without building";

pub(super) const TRAIN_HELP: &str = "\
The profile stays in the store until it is pruned. Builds with the same profile are bit for bit the same.

Examples:
  pykeel train 3.13.5                            record a profile, and print its digest
  pykeel build 3.13.5 --profile sha256:1a2b...   build with that profile
  pykeel train 3.13.5 --save --recipes recipes   pin it for everybody who uses these recipes";

pub(super) const INSTALL_HELP: &str = "\
Examples:
  pykeel install 3.13                            into /opt/myorg/python-3.13
  pykeel install 3.11 3.13                       two versions side by side
  pykeel install 3.13 --root /out                into /out/opt/myorg/python-3.13
  pykeel install 3.13 --prefix ~/python          into any directory: Python is relocatable
  pykeel install sha256:1a2b...                  exactly that artifact of the store
  pykeel install ./cpython-3.13.5-....tar.zst    a tarball that was built elsewhere, checked first
  pykeel install --locked                        exactly what pykeel.lock says";

pub(super) const LOCK_HELP: &str = "\
Options that are set neither here, nor in the environment, nor in pykeel.toml are those that are locked.

Examples:
  pykeel lock 3.13 3.14 --flavor all             lock what the store has of them, in pykeel.lock
  pykeel install --locked                        install exactly that
  pykeel lock --upgrade 3.13                     take the newest 3.13, and show what changes
  pykeel lock --upgrade --build                  build the newest of all on this machine, and lock it
  pykeel lock --check                            in CI: fail if the lock is out of date
  pykeel lock --remove 3.12                      lock it no more";

pub(super) const DOCKERFILE_HELP: &str = "\
Paths are relative to the build context, which is the directory of `--output`. Nothing is built or downloaded.

Examples:
  pykeel dockerfile --python 3.13,3.14           a base image with both, and its pair to build with
  pykeel dockerfile --python 3.13 --lock requirements.txt --app app --cmd 'python -m app' --output .
                                                 a service
  pykeel dockerfile --python 3.13 --lock requirements.txt --app-packages build:libpq-dev,run:libpq5
                                                 with packages of Debian
  pykeel dockerfile --python 3.13 --runtime distroless --lock requirements.txt
                                                 without a shell and a package manager
  pykeel dockerfile --python 3.13 --base ubuntu:24.04 --builder buildah --pykeel team/pykeel:0.1";

pub(super) const IMAGE_HELP: &str = "\
The file is an OCI archive that `docker load` reads too. The same options give the same bytes.

Examples:
  pykeel image 3.13                              a distroless Python, in dist/
  docker load --input dist/python-3.13.5-amd64.tar
  pykeel image 3.13 3.14 --default 3.14          two versions; python3 is 3.14
  pykeel image 3.13 --base debian.tar            on an image that `docker save` or skopeo wrote
  pykeel image 3.13 --app build:/opt/app --tag team/service:1.2
                                                 with an application
  pykeel image 3.13 --ca company.pem --label team=payments --user nobody
  pykeel image --rootfs /rootfs --tree /out      the files below an image from scratch, in a Dockerfile";

pub(super) const VERIFY_HELP: &str = "\
`--rebuild` takes every option that decides the bytes from the artifact's own plan. CC, CFLAGS, CPPFLAGS
and LDFLAGS have to be set as they were for the build.

Examples:
  pykeel verify /opt/myorg/python-3.13           check that an installed Python is complete and works
  pykeel verify dist/cpython-3.13.5-*.tar.zst    check a tarball in the same way
  pykeel verify --rebuild cpython-3.13.5-*.tar.zst --mirror /srv/sources";

pub(super) const CHECK_HELP: &str = "\
Nothing of the image is run or unpacked. `[[check.ignore]]` of pykeel.toml turns a rule off, with a reason.

Examples:
  pykeel check image.tar                         an archive of `docker save`, or an OCI archive
  pykeel check registry.example/app:1            an image of docker, podman or buildah
  pykeel check /rootfs --user 10001              a root file system, as that user sees it
  pykeel check image.tar --index /var/lib/apt/lists
                                                 with pending security updates
  pykeel check image.tar --fail-on warning --sarif check.sarif

Exit codes: 0 no finding counts, 4 one does (`--fail-on`, default error), 2 usage error.";

pub(super) const UNINSTALL_HELP: &str = "\
Examples:
  pykeel uninstall 3.13                          remove /opt/myorg/python-3.13
  pykeel uninstall 3.13 3.13t --root /out        remove two below /out/opt/myorg
  pykeel uninstall --prefix ~/python             remove what pykeel installed there";

pub(super) const PYTHON_BUILD_HELP: &str = "\
A link to pykeel named python-build is the same command. docs/from-pyenv.md compares it with pyenv's.

Examples:
  pykeel python-build 3.13.5 /opt/python         build 3.13.5, or take it from the store
  pykeel python-build --definitions              list every name
  ln -s /usr/local/bin/pykeel /usr/local/bin/python-build";

pub(super) const VENV_HELP: &str = "\
uv installs the packages if it is in a directory of the system or in /usr/local/bin, else the Python's pip.
Both read their own settings: UV_INDEX_URL, PIP_INDEX_URL, proxies. The environment has no pip, its times
and modes are the same each time, and its bytecode is compiled where it is.

Examples:
  pykeel venv requirements.txt --python 3.13 --at /opt/app
  pykeel venv uv.lock --python 3.13 --at /opt/app --runtime-root /runtime
  pykeel venv requirements.txt --python 3.13 --at /opt/app --wheels dist/wheels
  pykeel venv requirements.txt --python 3.13 --at /opt/app --wheels dist/wheels --repair --runtime-root /runtime";

pub(super) const PRUNE_HELP: &str = "\
Each option is a reason to remove an entry; the default is `--unused`. Entries in use are never removed.

Examples:
  pykeel cache prune                             remove entries that nothing refers to
  pykeel cache prune --older-than 30d            remove entries not used for 30 days
  pykeel cache prune --unused --max-size 5GB     then the least recently used, down to 5 GB
  pykeel cache prune --all --dry-run             print everything that could be removed";

pub(super) const LIST_HELP: &str = "\
Examples:
  pykeel list                                    the artifacts in the store
  pykeel list file:///srv/pythons                those of a remote
  pykeel list --all                              the versions that the recipes know";

pub(super) const PUSH_HELP: &str = "\
Only what the remote does not have is sent. docs/remotes.md describes addresses and credentials.

Examples:
  pykeel push 3.13.5 file:///srv/pythons         the artifacts of 3.13.5, into a directory
  pykeel push 3.13 3.14 --flavor runtime file:///srv/pythons
  pykeel push --all s3://pythons/team            every artifact of the store, into a bucket";

pub(super) const PULL_HELP: &str = "\
Nothing is built or installed. `install` and `build` ask the remotes by themselves.

Examples:
  pykeel pull 3.13                               what `install 3.13` would take
  pykeel pull sha256:1a2b...                     exactly that artifact
  pykeel pull 3.13 --remotes file:///srv/pythons from that remote
  pykeel pull --all                              everything that the remotes have";

pub(super) const PRUNE_REMOTE_HELP: &str = "\
Each option keeps artifacts; what none of them keeps is removed. At least one is needed.

Examples:
  pykeel prune --keep 3 --dry-run s3://pythons   print all but the three newest of each kind
  pykeel prune --older-than 90d --keep 3 oci://registry.example/team/python
  pykeel prune --older-than 30d --lock a/pykeel.lock --lock b/pykeel.lock file:///srv/pythons";

pub(super) const MATRIX_HELP: &str = "\
Nothing is built. Each line of the result is a build with its commands; docs/build-farm.md has whole pipelines.

Examples:
  pykeel matrix --push file:///srv/pythons       what that remote lacks of the newest of each series
  pykeel matrix 3.13 3.14 --variant default,t --flavor all --for github
                                                 the matrix of a job of GitHub, on one line
  pykeel matrix 3.13 --target x86_64-linux-gnu,aarch64-linux-gnu --for gitlab
                                                 a child pipeline of GitLab
  pykeel matrix --for bake > docker-bake.hcl     for docker buildx bake";

pub(super) const COMPLETIONS_HELP: &str = "\
Examples:
  pykeel completions bash > /etc/bash_completion.d/pykeel
  pykeel completions zsh > /usr/local/share/zsh/site-functions/_pykeel
  pykeel completions fish > ~/.config/fish/completions/pykeel.fish";

pub(super) const INDEX_HELP: &str = "\
Examples:
  pykeel index --output pykeel.json              of the store, for uv on this machine
  uv python install 3.13 --python-downloads-json-url file://$PWD/pykeel.json
  pykeel index dist --url 'https://pythons.example/{file}' --output dist/uv.json
                                                 of tarballs that a server offers";

pub(super) const INSPECT_HELP: &str = "\
Examples:
  pykeel inspect dist/cpython-3.13.5-*.tar.zst   what it is, and what takes up its size
  pykeel inspect 3.13 --html sizes.html          the sizes as a treemap
  pykeel inspect OLD.tar.zst NEW.tar.zst         what changed: options, modules, libraries, files
  pykeel inspect 3.13.5 /opt/myorg/python-3.13   what changed since it was installed";
