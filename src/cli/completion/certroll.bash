# completions of certroll for bash: source <(certroll completions bash)
_certroll() {
    local IFS=$'\n' cur="${COMP_WORDS[COMP_CWORD]}" program="${1/#\~/$HOME}"
    local reply typed breaks prefix="" word
    COMPREPLY=()
    mapfile -t reply < <("$program" __complete --line "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    if [[ ${reply[0]} == files ]]; then
        compopt -o default -o bashdefault 2>/dev/null
        return
    fi
    # Readline replaces only what follows the last of its break characters, unless the word is quoted.
    typed="${reply[1]}"
    breaks="${COMP_WORDBREAKS//[[:space:]\"\']/}"
    if [[ $cur != [\'\"]* && -n $breaks && $typed == *["$breaks"]* ]]; then
        prefix="${typed%"${typed##*["$breaks"]}"}"
    fi
    for word in "${reply[@]:2}"; do
        word="${word%%$'\t'*}"
        # Names come from files that others may write: nothing of them is left for the shell to act on.
        if [[ $cur == [\'\"]* ]]; then
            [[ $word == *[\'\"\$\`\\]* ]] && continue
        else
            word="${word#"$prefix"}"
            [[ $word == *[^a-zA-Z0-9_.,:=@%+/!-]* ]] && printf -v word '%q' "$word"
        fi
        COMPREPLY+=("$word")
    done
}
complete -F _certroll certroll
