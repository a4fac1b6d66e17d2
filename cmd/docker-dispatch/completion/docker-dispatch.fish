# Completion of docker-dispatch for fish: docker-dispatch completion fish | source

function __docker_dispatch
    set -l token (commandline -ct)
    set -l words (commandline -opc)
    set -l option (string match -r -- '^--[^=]*=' "$token")
    for line in ($words[1] completion words $words[2..-1] "$token" 2>/dev/null </dev/null)
        switch $line
            case :FILE
                printf "%s\n" "$option"(__fish_complete_path (string replace -r -- '^--[^=]*=' '' "$token"))
            case :DIR
                printf "%s\n" "$option"(__fish_complete_directories (string replace -r -- '^--[^=]*=' '' "$token"))
            case '*'
                echo $line
        end
    end
end

complete -c docker-dispatch -f -a '(__docker_dispatch)'
