# Runs a program where everything is different that must not matter. It is run in a mount and a UTS
# namespace of its own, and is told in its environment:
#   BASE   a directory of its own   LIBRARY  the other clock   PACKAGES  a root with other packages unpacked
#   PLACE  where the store is to be FILES    what it lies on: tmpfs, or disorderfs over BASE/below
#   SOURCES  the sources it needs
set -e
hostname elsewhere
# A place for another clock, for every program that a build starts.
mkdir -p "$BASE/etc" "$BASE/below" "$PLACE"
mount -t tmpfs -o mode=755 none "$BASE/etc"
mkdir "$BASE/etc/upper" "$BASE/etc/work"
mount -t overlay -o "lowerdir=/etc,upperdir=$BASE/etc/upper,workdir=$BASE/etc/work" overlay /etc
# Other packages beside those that the build needs.
mount -t overlay -o "lowerdir=$PACKAGES/usr:/usr" overlay /usr
mkdir "$BASE/etc/dpkg"
cat /var/lib/dpkg/status "$PACKAGES/dpkg/status" >"$BASE/etc/dpkg/status"
mount -t overlay -o "lowerdir=$BASE/etc/dpkg:$PACKAGES/dpkg:/var/lib/dpkg" overlay /var/lib/dpkg
# Directories that list their entries in another order, and a user that is not root where the file
# system knows several.
case $FILES in
tmpfs)
    mount -t tmpfs -o mode=755 none "$PLACE"
    user="setpriv --reuid 65534 --regid 65534 --clear-groups"
    ;;
disorderfs)
    disorderfs -q --shuffle-dirents=yes --reverse-dirents=no "$BASE/below" "$PLACE" 2>"$BASE/disorderfs.log" || {
        cat "$BASE/disorderfs.log" >&2
        exit 77
    }
    user=
    ;;
esac
store=$PLACE/a-directory-whose-name-is-a-good-deal-longer/and-another-one-below-it/store
mkdir -p "$store/sources" "$BASE/out" "$BASE/home"
cp "$SOURCES"/* "$store/sources/"
[ -z "$user" ] || chown -R 65534:65534 "$PLACE"/* "$BASE/out" "$BASE/home"
# A library that is loaded into the compiler is refused where it is there before, so it comes once the build has begun.
(
    until ls -d "$store"/work/*/compiler >/dev/null 2>&1; do sleep 0.05; done
    printf '%s\n' "$LIBRARY" >/etc/ld.so.preload
) &
clock=$!
umask 077
code=0
# One processor, and an environment of which nothing is the usual.
# shellcheck disable=SC2086 # words
taskset -c 0 $user env -i LD_PRELOAD="$LIBRARY" PATH="$PATH" HOME="$BASE/home" USER=someone LOGNAME=someone TZ=Asia/Kathmandu \
    LANG=POSIX LC_ALL=POSIX TMPDIR="$BASE/home" TERM=dumb PYKEEL_CONFIG=/dev/null \
    "$@" --store "$store" --out "$BASE/out" || code=$?
kill "$clock" 2>/dev/null || true
umount "$PLACE"
exit $code
