//! The longer texts of `--help`: what commands are used for, by examples.

pub(super) const TOP_HELP: &str = "\
Examples:
  pykeel build 3.13 --install-deps --out dist    build the newest 3.13, its tarball under dist/
  pykeel install 3.13                            put it into /opt/myorg/python-3.13
  pykeel install 3.13 --root /out                put it into a root file system for COPY --from
  pykeel verify /opt/myorg/python-3.13           check what is there

Exit codes: 0 done, 1 the build failed, 2 usage or recipe error, 3 a source could not be had,
4 verification failed, 5 something is locked, full or not permitted, 130 interrupted.";

pub(super) const BUILD_HELP: &str = "\
Examples:
  pykeel build 3.13                              the newest release of a series
  pykeel build 3.13.5 --flavor all --out dist    runtime and builder tarballs from one compilation
  pykeel build 3.11 3.12 3.13                    several at once
  pykeel build 3.13 --bytecode unchecked-hash    with bytecode caches: larger, and faster to start
  pykeel build 3.13 --mirror /srv/sources        the source archive from a directory
  pykeel build 3.13 --timings=timings.html       where the time goes, as a page for a browser
  pykeel build 3.13 --dry-run --json             the plan, without building";

pub(super) const TRAIN_HELP: &str = "\
The profile stays in the store until it is pruned. A build that is given it makes the same bytes every time.

Examples:
  pykeel train 3.13.5                            prints the digest of the profile
  pykeel build 3.13.5 --profile sha256:1a2b...   an optimised build with it
  pykeel train 3.13.5 --save --recipes recipes   pins it for everybody who builds with these recipes";

pub(super) const INSTALL_HELP: &str = "\
Examples:
  pykeel install 3.13                            into /opt/myorg/python-3.13
  pykeel install 3.11 3.13                       side by side
  pykeel install 3.13 --root /out                into /out/opt/myorg/python-3.13
  pykeel install 3.13 --prefix ~/python          anywhere: the tree is relocatable
  pykeel install sha256:1a2b...                  exactly that artifact, or nothing";

pub(super) const VERIFY_HELP: &str = "\
With `--rebuild` nothing that decides the bytes is said on the command line: it is the artifact's own plan.
CC, CFLAGS, CPPFLAGS and LDFLAGS count as in a build, and have to be what they were.

Examples:
  pykeel verify /opt/myorg/python-3.13           whether what is installed is whole and works
  pykeel verify dist/cpython-3.13.5-*.tar.zst    the same of a tarball
  pykeel verify --rebuild cpython-3.13.5-*.tar.zst --mirror /srv/sources";

pub(super) const UNINSTALL_HELP: &str = "\
Examples:
  pykeel uninstall 3.13                          what is at /opt/myorg/python-3.13
  pykeel uninstall 3.13 3.13t --root /out        below /out/opt/myorg
  pykeel uninstall --prefix ~/python             whatever pykeel installed there";

pub(super) const PRUNE_HELP: &str = "\
Each option is a reason to remove something; without one it is `--unused`. What is in use stays.

Examples:
  pykeel cache prune                             what nothing refers to
  pykeel cache prune --older-than 30d            what was not used for 30 days
  pykeel cache prune --unused --max-size 5GB     and then the least recently used, down to 5 GB
  pykeel cache prune --all --dry-run             what there is to remove";

pub(super) const COMPLETIONS_HELP: &str = "\
Examples:
  pykeel completions bash > /etc/bash_completion.d/pykeel
  pykeel completions zsh > /usr/local/share/zsh/site-functions/_pykeel
  pykeel completions fish > ~/.config/fish/completions/pykeel.fish";

pub(super) const INSPECT_HELP: &str = "\
Examples:
  pykeel inspect dist/cpython-3.13.5-*.tar.zst   what it is and what its bytes are
  pykeel inspect 3.13 --html sizes.html          the sizes as a map, for a browser
  pykeel inspect OLD.tar.zst NEW.tar.zst         what changed: options, modules, libraries, files
  pykeel inspect 3.13.5 /opt/myorg/python-3.13   whether an installed Python is still the store's";
