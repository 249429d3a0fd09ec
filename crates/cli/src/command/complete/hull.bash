# Completion of hull for bash; `hull completion bash` writes it. All knowledge is in `hull __complete`.
_hull() {
    local rest=${COMP_LINE:0:COMP_POINT} blanks words=() word i last=-1
    # bash cuts words at `=` and `:`, too. Those without a blank between them are one.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        blanks=${rest%%[![:blank:]]*}
        rest=${rest#"$blanks"}
        ((i == COMP_CWORD)) && word=$rest
        if ((last < 0)) || [[ -n $blanks ]]; then
            words[++last]=$word
        else
            words[last]+=$word
        fi
        rest=${rest#"$word"}
    done

    # What stands before the last such sign stays; the candidates go behind it.
    local typed=${words[last]} kept= signs=${COMP_WORDBREAKS//[^:=]/} line then=words
    [[ -n $signs ]] && kept=${typed%"${typed##*[$signs]}"}

    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
        :*) then=${line#:} ;;
        *)
            word=${line%%$'\t'*}
            COMPREPLY+=("${word#"$kept"}")
            ;;
        esac
    done < <("${words[0]/#\~/$HOME}" __complete -- "${words[@]:1}" 2>/dev/null)

    case $then in
    open) compopt -o nospace 2>/dev/null ;;
    files | directories)
        local kind=f
        [[ $then == directories ]] && kind=d
        compopt -o filenames 2>/dev/null
        # `web:` goes on.
        [[ ${COMPREPLY[*]} == *: ]] && compopt -o nospace 2>/dev/null
        while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -$kind -- "${typed#"$kept"}")
        ;;
    esac
}
complete -F _hull hull
