# bash completion of certjobs. The program itself says what may stand here; where it says nothing, file names do.
_certjobs() {
    mapfile -t COMPREPLY < <(
        env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" _CERTJOBS_COMPLETE=complete_bash \
            "${1/#\~\//$HOME/}" 2>/dev/null
    )
    [[ -n ${COMPREPLY[0]-} ]] || COMPREPLY=()
}
complete -o default -F _certjobs certjobs
