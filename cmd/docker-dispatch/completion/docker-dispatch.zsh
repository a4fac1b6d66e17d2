#compdef docker-dispatch
# Completion of docker-dispatch for zsh: source <(docker-dispatch completion zsh), after compinit;
# or a file _docker-dispatch in a folder of $fpath.

_docker_dispatch() {
    local line paths
    local -a found
    for line in ${(f)"$($words[1] completion words "${(@)words[2,CURRENT]}" 2>/dev/null </dev/null)"}; do
        case $line in
            :FILE) paths=-f ;;
            :DIR) paths=-/ ;;
            *) found+=("$line") ;;
        esac
    done
    (( $#found )) && compadd -a found
    [[ -n $paths ]] || return
    compset -P '--*='
    _path_files $paths
}

if [[ $funcstack[1] == _docker-dispatch ]]; then
    _docker_dispatch "$@" # this file is autoloaded from $fpath
else
    compdef _docker_dispatch docker-dispatch
fi
