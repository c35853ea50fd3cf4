# bash completion for copse, as copse completion bash prints it.
_copse() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    local flag='' joined='' command='' words='' i
    # bash takes --flag=value apart at the =.
    if [[ $cur == = ]]; then
        flag=$prev joined=yes cur=''
    elif [[ $prev == = ]]; then
        flag=${COMP_WORDS[COMP_CWORD-2]} joined=yes
    elif [[ $prev == -* ]]; then
        flag=$prev
    fi
    flag=${flag#-}
    case ${flag#-} in
    initial-cluster-state) mapfile -t COMPREPLY < <(compgen -W 'new existing' -- "$cur"); return ;;
    force-new-cluster) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    client-cert-auth) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    auto-tls) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    peer-client-cert-auth) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    peer-auto-tls) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    ttl-pause) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    enable-pprof) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    log-format) mapfile -t COMPREPLY < <(compgen -W 'auto text json' -- "$cur"); return ;;
    log-level) mapfile -t COMPREPLY < <(compgen -W 'debug info warn error' -- "$cur"); return ;;
    quiet) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    stale) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    quiet) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    new-cluster-id) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    resume) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    if-empty) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    ttl) mapfile -t COMPREPLY < <(compgen -W 'absolute extend duration' -- "$cur"); return ;;
    json) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    dry-run) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    take-what-is-sound) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    committed-only) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    config-file|data-dir|cert-file|key-file|trusted-ca-file|client-crl-file|peer-cert-file|peer-key-file|peer-trusted-ca-file|peer-crl-file|cluster-secret-file|root-password-file|password-file|password-file|password-file|out|etcd-wal-dir)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        compopt -o filenames 2>/dev/null
        return ;;
    name|listen-client-urls|listen-peer-urls|advertise-client-urls|initial-advertise-peer-urls|initial-cluster|initial-cluster-token|shards|bump-index|client-cert-allowed-cn|client-cert-allowed-hostname|peer-cert-allowed-cn|peer-cert-allowed-hostname|self-signed-cert-validity|heartbeat-interval|election-timeout|snapshot-count|cors|event-history|event-history-bytes|max-request-bytes|max-header-bytes|request-timeout|read-timeout|idle-timeout|cache-size|disk-reserve|timer-slack|listen-metrics-urls|drain-delay|slow-request|endpoint|timeout|endpoint|endpoint|cluster-id|index-margin) return ;;
    esac
    for ((i = 1; i < COMP_CWORD && i < 3; i++)); do
        [[ ${COMP_WORDS[i]} == -* ]] && break
        command+=${command:+ }${COMP_WORDS[i]}
    done
    if [[ $cur == -* ]]; then
        local settings='--config-file --name --data-dir --listen-client-urls --listen-peer-urls --advertise-client-urls --initial-advertise-peer-urls --initial-cluster --initial-cluster-state --initial-cluster-token --shards --force-new-cluster --bump-index --cert-file --key-file --trusted-ca-file --client-cert-auth --client-crl-file --client-cert-allowed-cn --client-cert-allowed-hostname --auto-tls --peer-cert-file --peer-key-file --peer-trusted-ca-file --peer-client-cert-auth --peer-crl-file --peer-cert-allowed-cn --peer-cert-allowed-hostname --peer-auto-tls --cluster-secret-file --self-signed-cert-validity --heartbeat-interval --election-timeout --snapshot-count --cors --event-history --event-history-bytes --max-request-bytes --max-header-bytes --request-timeout --ttl-pause --read-timeout --idle-timeout --cache-size --disk-reserve --timer-slack --listen-metrics-urls --root-password-file --enable-pprof --drain-delay --slow-request --log-format --log-level'
        case $command in
        '') words="$settings --version --help" ;;
        'serve'*) words="--help $settings" ;;
        'health'*) words="--quiet --endpoint --timeout --help $settings" ;;
        'auth init'*) words="--password-file --endpoint --help $settings" ;;
        'backup'*) words="--endpoint --password-file --stale --quiet --help $settings" ;;
        'restore'*) words="--new-cluster-id --resume --if-empty --ttl --help $settings" ;;
        'export'*) words="--help $settings" ;;
        'verify'*) words="--help" ;;
        'inspect'*) words="--help" ;;
        'diff'*) words="--password-file --help $settings" ;;
        'config check'*) words="--help $settings" ;;
        'config show'*) words="--json --help $settings" ;;
        'import'*) words="--out --dry-run --etcd-wal-dir --take-what-is-sound --committed-only --cluster-id --index-margin --help $settings" ;;
        'raftlog inspect'*) words="--help $settings" ;;
        'raftlog cut'*) words="--help $settings" ;;
        'version'*) words="--help" ;;
        'completion'*) words="--help" ;;
        'help'*) words="--help" ;;
        esac
    elif [[ $command || $COMP_CWORD == 1 ]]; then
        case $command in
        '') words='serve health auth backup restore export verify inspect diff config import raftlog version completion help' ;;
        'auth') words='init' ;;
        'help auth') words='init' ;;
        'config') words='check show' ;;
        'help config') words='check show' ;;
        'raftlog') words='inspect cut' ;;
        'help raftlog') words='inspect cut' ;;
        'completion') words='bash zsh fish' ;;
        'help') words='serve health auth backup restore export verify inspect diff config import raftlog version completion help' ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _copse copse
