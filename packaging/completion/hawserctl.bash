# Completion of hawserctl for bash. What there is to offer, hawserctl itself says.

_hawserctl()
{
    local line=${COMP_LINE:0:COMP_POINT} current="" begun word
    local -a words
    read -ra words <<<"$line"
    # The word that is being typed; none yet behind a blank.
    case $line in
    *[[:blank:]]) words+=("") ;;
    esac
    current=${words[${#words[@]} - 1]}
    # Readline puts what we offer in the place of $2, which begins behind a word break such as ":".
    begun=${current%"$2"}
    COMPREPLY=()
    while IFS=$'\t' read -r word _; do
        if [ "$word" = :file ]; then
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return
        fi
        COMPREPLY+=("${word#"$begun"}")
    done < <("${words[0]/#\~/$HOME}" complete "${words[@]:1}" 2>/dev/null)
}

complete -F _hawserctl hawserctl
