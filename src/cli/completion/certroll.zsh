#compdef certroll
# completions of certroll for zsh: source <(certroll completions zsh), or as _certroll in a directory of $fpath
_certroll() {
    local -a reply values shown
    local line with_words=
    reply=("${(@f)$("${(Q)words[1]}" __complete "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    if [[ $reply[1] == files ]]; then
        compset -P '--*='
        _files
        return
    fi
    for line in "${(@)reply[2,-1]}"; do
        [[ -n $line ]] || continue
        values+=("${line%%$'\t'*}")
        if [[ $line == *$'\t'* ]]; then
            with_words=1
            shown+=("${line%%$'\t'*}  ${line#*$'\t'}")
        else
            shown+=("$line")
        fi
    done
    (( $#values )) || return 1
    if [[ -n $with_words ]]; then
        compadd -l -d shown -a values
    else
        compadd -a values
    fi
}
if [[ $funcstack[1] == _certroll ]]; then
    _certroll "$@"
else
    compdef _certroll certroll
fi
