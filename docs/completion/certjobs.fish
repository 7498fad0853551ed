# fish completion of certjobs. The program itself says what may stand here; where it says nothing, file names do.
function __certjobs_complete
    set --local typed (commandline --current-process --cut-at-cursor | string collect)
    set --local found (env _CERTJOBS_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
        _TYPER_COMPLETE_ARGS=$typed certjobs 2>/dev/null)
    if string length --quiet -- $found
        printf '%s\n' $found
    else
        __fish_complete_path (commandline --current-token --cut-at-cursor)
    end
end
complete --command certjobs --no-files --arguments '(__certjobs_complete)'
