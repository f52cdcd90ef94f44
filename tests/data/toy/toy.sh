# What the toy's Python does: it answers what pykeel asks a Python, from the files of its own tree.
library=${0%/*}
prefix=${library%/lib/*}
for last; do :; done

# Prints a check of the probe: name, status, detail.
check() { printf '%s{"name":"%s","status":"%s","detail":"%s"}' "$comma" "$1" "$2" "$3"; comma=,; }

# A module is imported when its file is there and does not begin with a `raise`.
import() {
  [ -f "$library/$1.py" ] || { check "import:$1" failed "ModuleNotFoundError: No module named '$1'"; return; }
  read -r line <"$library/$1.py"
  case $line in
    raise*) check "import:$1" failed "$line" ;;
    *) check "import:$1" passed ;;
  esac
}

probe() {
  told=$(sed -n 's/.*"prefix":"\([^"]*\)".*/\1/p' "$1")
  [ ! -f "$library/toy-probe.sh" ] || . "$library/toy-probe.sh"
  printf '{"checks":['
  comma=
  if [ "$told" = "$prefix" ]; then check prefix passed; else check prefix failed "it is $prefix, not $told"; fi
  while read -r name; do import "$name"; done <"$library/toy-modules"
  printf ']}\n'
}

# One cache for each module, as deterministic as the real ones: magic number, flags, path, content.
compile() {
  find "$1/lib" -name '*.py' | LC_ALL=C sort | while read -r file; do
    directory=${file%/*}/__pycache__
    name=${file##*/}
    mkdir -p "$directory"
    { printf '\363\r\r\n\001\000\000\000'; echo "$2${file#"$1"}"; cat "$file"; } >"$directory/${name%.py}.cpython-313.pyc"
  done
}

ensurepip() {
  packages=$library/site-packages
  mkdir -p "$packages/pip" "$packages/pip-1.0.dist-info"
  echo '# pip' >"$packages/pip/__init__.py"
  printf '#!%s/bin/python3.13\nimport pip\n' "$prefix" >"$prefix/bin/pip3.13"
  chmod 755 "$prefix/bin/pip3.13"
  printf '../../../bin/pip3.13,sha256=x,1\npip/__init__.py,,\n' >"$packages/pip-1.0.dist-info/RECORD"
}

# `import a, b; …` succeeds where all of them are there.
imports() {
  names=${1#import }
  for name in $(echo "${names%%;*}" | tr ',' ' '); do
    [ "$name" = sys ] || [ -e "$library/$name.py" ] || ls "$library/lib-dynload/$name".* >/dev/null 2>&1 ||
      grep -qx "$name" "$library/toy-builtin-modules" || exit 1
  done
  case $1 in *"print(sys.prefix)"*) echo "$prefix" ;; esac
}

case "$*" in
  *builtin_module_names*) cat "$library/toy-builtin-modules" ;;
  *"-m ensurepip"*) ensurepip ;;
  *py_compile*)
    for word; do root=$second; second=$word; done
    compile "$root" "$last"
    ;;
  *.json) probe "$last" ;;
  *"-c import "*) imports "$last" ;;
  *) echo "the toy's Python does not know: $*" >&2; exit 64 ;;
esac
