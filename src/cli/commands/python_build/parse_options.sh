parse_options() {
  OPTIONS=()
  ARGUMENTS=()
  local word letter
  for word in "$@"; do
    case "$word" in
      --*) OPTIONS+=("${word#--}") ;;
      -*)
        for ((letter = 1; letter < ${#word}; letter++)); do
          OPTIONS+=("${word:letter:1}")
        done
        ;;
      *) ARGUMENTS+=("$word") ;;
    esac
  done
}
