# Completion of hawserctl for fish. What there is to offer, hawserctl itself says.

function __hawserctl_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l offered ($words[1] complete $words[2..-1] "$current" 2>/dev/null)
    if test "$offered" = :file
        __fish_complete_path "$current"
    else
        printf '%s\n' $offered
    end
end

complete -c hawserctl -f -a '(__hawserctl_complete)'
