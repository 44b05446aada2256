# completions of certroll for fish: certroll completions fish | source
function __certroll_complete
    set -l current (commandline -ct)
    set -l reply (certroll __complete (commandline -opc) "$current" 2>/dev/null)
    if test "$reply[1]" = files
        __fish_complete_path "$current"
    else if test (count $reply) -gt 1
        printf '%s\n' $reply[2..-1]
    end
end
complete -c certroll -f -a '(__certroll_complete)'
