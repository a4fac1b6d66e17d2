# Completion of docker-dispatch for bash: source <(docker-dispatch completion bash)

_docker_dispatch() {
    local line IFS=$'\n'
    COMPREPLY=()
    while read -r line; do
        case $line in
            :FILE) compopt -o default ;;
            :DIR) compopt -o dirnames ;;
            *) COMPREPLY+=("$line") ;;
        esac
    done < <("$1" completion words "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null </dev/null)
}

complete -F _docker_dispatch docker-dispatch
