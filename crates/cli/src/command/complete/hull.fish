# Completion of hull for fish; `hull completion fish` writes it. All knowledge is in `hull __complete`.
function __hull_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l lines (command $words[1] __complete -- $words[2..-1] $typed 2>/dev/null)
    test (count $lines) -gt 0; or return
    if test (count $lines) -gt 1
        printf '%s\n' $lines[1..-2]
    end
    switch $lines[-1]
        case :files
            __fish_complete_path (string replace -r -- '^--[^=]*=' '' $typed)
        case :directories
            __fish_complete_directories (string replace -r -- '^--[^=]*=' '' $typed)
    end
end
complete -c hull -f -a '(__hull_complete)'
