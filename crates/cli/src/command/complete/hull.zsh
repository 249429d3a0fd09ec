#compdef hull
# Completion of hull for zsh; `hull completion zsh` writes it. All knowledge is in `hull __complete`.
_hull() {
    local -a candidates
    local line about then=words
    while IFS= read -r line; do
        case $line in
        :*) then=${line#:} ;;
        *)
            about=${line#*$'\t'}
            candidates+=("${${line%%$'\t'*}//:/\\:}${about:+:$about}")
            ;;
        esac
    done < <(${(Q)words[1]/#\~/$HOME} __complete -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)
    case $then in
    open | files) _describe -V hull candidates -S '' ;;
    *) _describe -V hull candidates ;;
    esac
    case $then in
    files) compset -P '--*='; _files ;;
    directories) compset -P '--*='; _files -/ ;;
    esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _hull "$@"
else
    compdef _hull hull
fi
