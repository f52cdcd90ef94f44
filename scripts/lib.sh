# What the scripts share; they source it. The working directory is the top of the tree after it.
set -eu
cd "$(dirname -- "$0")/.."

say() { printf '==> %s\n' "$*" >&2; }

# Runs a command as root.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Installs the Debian packages of its arguments that are not there yet.
need_packages() {
  missing=
  for package in "$@"; do
    case "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" in
      installed) ;;
      *) missing="$missing $package" ;;
    esac
  done
  [ -n "$missing" ] || return 0
  say "installing$missing"
  as_root apt-get update -q
  # shellcheck disable=SC2086 # a list of words
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $missing
}

# What CPython's build needs. `pykeel build --install-deps` installs the same by the recipe.
CPYTHON_PACKAGES="gcc libc6-dev make pkg-config binutils libbz2-dev libedit-dev libffi-dev liblzma-dev
  libncurses-dev libsqlite3-dev libssl-dev libzstd-dev uuid-dev zlib1g-dev"

command -v cargo >/dev/null || {
  [ -x "$HOME/.cargo/bin/cargo" ] && PATH="$HOME/.cargo/bin:$PATH"
}
command -v cargo >/dev/null || {
  say "there is no cargo: install Rust (rustup, or the packages of your organisation), then run this again"
  exit 1
}
