# bash completion for copse, as copse completion bash prints it.
_copse() {
    COMPREPLY=()
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
    ui) mapfile -t COMPREPLY < <(compgen -W 'off read write' -- "$cur"); return ;;
    ui-port) mapfile -t COMPREPLY < <(compgen -W 'operations clients' -- "$cur"); return ;;
    enable-pprof) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    log-format) mapfile -t COMPREPLY < <(compgen -W 'auto text json' -- "$cur"); return ;;
    log-level) mapfile -t COMPREPLY < <(compgen -W 'debug info warn error' -- "$cur"); return ;;
    output|o) mapfile -t COMPREPLY < <(compgen -W 'simple extended json' -- "$cur"); return ;;
    no-sync) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    debug) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    quiet) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    stale) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    new-cluster-id) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    resume) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    if-empty) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    ttl) mapfile -t COMPREPLY < <(compgen -W 'absolute extend duration' -- "$cur"); return ;;
    json) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    despite-writers) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    sort) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    quorum|q) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    base64) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    raw) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    in-order) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    dir) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    recursive|r) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    overwrite) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    p) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    hidden) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    count) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    forever|f) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    read) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    write) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    readwrite) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    format) mapfile -t COMPREPLY < <(compgen -W 'list map v2' -- "$cur"); return ;;
    dry-run) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    take-what-is-sound) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    committed-only) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- "$cur"); return; } ;;
    config-file|data-dir|mirror-trusted-ca-file|mirror-cert-file|mirror-key-file|cert-file|key-file|trusted-ca-file|client-crl-file|peer-cert-file|peer-key-file|peer-trusted-ca-file|peer-crl-file|cluster-secret-file|root-password-file|ca-file|password-file|file|path|out|etcd-wal-dir)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        compopt -o filenames 2>/dev/null
        return ;;
    name|listen-client-urls|listen-peer-urls|advertise-client-urls|initial-advertise-peer-urls|initial-cluster|initial-cluster-token|shards|mirror-from|bump-index|client-cert-allowed-cn|client-cert-allowed-hostname|peer-cert-allowed-cn|peer-cert-allowed-hostname|self-signed-cert-validity|heartbeat-interval|election-timeout|snapshot-count|cors|event-history|event-history-bytes|event-history-per-prefix|event-history-per-prefix-bytes|event-history-per-prefix-age|event-history-prefixes|event-history-prefixes-bytes|max-request-bytes|max-header-bytes|request-timeout|read-timeout|idle-timeout|cache-size|disk-reserve|timer-slack|listen-metrics-urls|drain-delay|slow-request|endpoints|timeout|total-timeout|username|u|endpoint|hold-limit|index-margin|swap-with-value|swap-with-index|with-value|with-index|depth|after-index|wait|roles|metrics|interval|from|cluster-id) return ;;
    esac
    for ((i = 1; i < COMP_CWORD && i < 3; i++)); do
        [[ ${COMP_WORDS[i]} == -* ]] && break
        command+=${command:+ }${COMP_WORDS[i]}
    done
    if [[ ' get set mk mkdir setdir update updatedir cas rm rmdir ls watch lock ' == *" ${COMP_WORDS[1]} "* && $COMP_CWORD -gt 1 && $cur != -* ]]; then
        # bash takes words apart at : and =, and replaces what follows the last of them.
        local key typed word=$cur i=$COMP_CWORD
        while ((i > 2)) && [[ ${COMP_WORDS[i]} == [:=]* || ${COMP_WORDS[i-1]} == [:=]* ]] &&
            [[ ${COMP_LINE:0:COMP_POINT} == *"${COMP_WORDS[i-1]}$word" ]]; do
            word=${COMP_WORDS[--i]}$word
        done
        typed=${word#[\'\"]}
        typed=${typed//\\/}
        while IFS= read -r key; do
            [[ $key == "$typed"* ]] || continue
            if [[ $word == [\'\"]* ]]; then
                [[ $key == *[\'\"\$\`\\!]* ]] && continue
            else
                printf -v key %q "$key"
                key=${key#"${word%"${word##*[:=]}"}"}
            fi
            COMPREPLY+=("$key")
        done < <(copse ls -p --timeout=1s --total-timeout=1s -- "${typed%"${typed##*/}"}" 2>/dev/null)
        compopt -o nospace 2>/dev/null
        return
    fi
    if [[ $cur == -* ]]; then
        local settings='--config-file --name --data-dir --listen-client-urls --listen-peer-urls --advertise-client-urls --initial-advertise-peer-urls --initial-cluster --initial-cluster-state --initial-cluster-token --shards --mirror-from --mirror-trusted-ca-file --mirror-cert-file --mirror-key-file --force-new-cluster --bump-index --cert-file --key-file --trusted-ca-file --client-cert-auth --client-crl-file --client-cert-allowed-cn --client-cert-allowed-hostname --auto-tls --peer-cert-file --peer-key-file --peer-trusted-ca-file --peer-client-cert-auth --peer-crl-file --peer-cert-allowed-cn --peer-cert-allowed-hostname --peer-auto-tls --cluster-secret-file --self-signed-cert-validity --heartbeat-interval --election-timeout --snapshot-count --cors --event-history --event-history-bytes --event-history-per-prefix --event-history-per-prefix-bytes --event-history-per-prefix-age --event-history-prefixes --event-history-prefixes-bytes --max-request-bytes --max-header-bytes --request-timeout --ttl-pause --read-timeout --idle-timeout --cache-size --disk-reserve --timer-slack --listen-metrics-urls --ui --ui-port --root-password-file --enable-pprof --drain-delay --slow-request --log-format --log-level'
        local common='--endpoints --output --no-sync --timeout --total-timeout --debug --cert-file --key-file --ca-file --username --password-file'
        case $command in
        '') words="$settings --version --help" ;;
        'serve'|'serve '*) words="--help $settings" ;;
        'health'|'health '*) words="--quiet --endpoint --timeout --help $settings" ;;
        'auth init'|'auth init '*) words="--password-file --endpoint --help $settings" ;;
        'backup'|'backup '*) words="--endpoint --password-file --stale --quiet --help $settings" ;;
        'restore'|'restore '*) words="--new-cluster-id --resume --if-empty --ttl --help $settings" ;;
        'export'|'export '*) words="--help $settings" ;;
        'verify'|'verify '*) words="--help" ;;
        'inspect'|'inspect '*) words="--help" ;;
        'diff'|'diff '*) words="--password-file --help $settings" ;;
        'mirror status'|'mirror status '*) words="--endpoint --password-file --json --help $settings" ;;
        'mirror promote'|'mirror promote '*) words="--endpoint --password-file --despite-writers --hold-limit --index-margin --help $settings" ;;
        'get'|'get '*) words="--sort --quorum --base64 --raw --help $common" ;;
        'set'|'set '*) words="--file --base64 --raw --ttl --swap-with-value --swap-with-index --help $common" ;;
        'mk'|'mk '*) words="--file --base64 --raw --ttl --in-order --help $common" ;;
        'mkdir'|'mkdir '*) words="--ttl --help $common" ;;
        'setdir'|'setdir '*) words="--ttl --help $common" ;;
        'update'|'update '*) words="--file --base64 --raw --ttl --help $common" ;;
        'updatedir'|'updatedir '*) words="--ttl --help $common" ;;
        'cas'|'cas '*) words="--file --base64 --raw --ttl --help $common" ;;
        'rm'|'rm '*) words="--dir --recursive --with-value --with-index --help $common" ;;
        'rmdir'|'rmdir '*) words="--help $common" ;;
        'mv'|'mv '*) words="--overwrite --help $common" ;;
        'cp'|'cp '*) words="--overwrite --help $common" ;;
        'txn'|'txn '*) words="--help $common" ;;
        'ls'|'ls '*) words="--sort --recursive --p --quorum --hidden --depth --count --help $common" ;;
        'watch'|'watch '*) words="--after-index --recursive --forever --raw --help $common" ;;
        'exec-watch'|'exec-watch '*) words="--after-index --recursive --help $common" ;;
        'lock'|'lock '*) words="--ttl --wait --help $common" ;;
        'member list'|'member list '*) words="--help $common" ;;
        'member add'|'member add '*) words="--help $common" ;;
        'member remove'|'member remove '*) words="--help $common" ;;
        'member update'|'member update '*) words="--help $common" ;;
        'user list'|'user list '*) words="--help $common" ;;
        'user get'|'user get '*) words="--help $common" ;;
        'user add'|'user add '*) words="--help $common" ;;
        'user remove'|'user remove '*) words="--help $common" ;;
        'user grant'|'user grant '*) words="--roles --help $common" ;;
        'user revoke'|'user revoke '*) words="--roles --help $common" ;;
        'user passwd'|'user passwd '*) words="--help $common" ;;
        'role list'|'role list '*) words="--help $common" ;;
        'role get'|'role get '*) words="--help $common" ;;
        'role add'|'role add '*) words="--help $common" ;;
        'role remove'|'role remove '*) words="--help $common" ;;
        'role grant'|'role grant '*) words="--path --read --write --readwrite --help $common" ;;
        'role revoke'|'role revoke '*) words="--path --read --write --readwrite --help $common" ;;
        'auth enable'|'auth enable '*) words="--help $common" ;;
        'auth disable'|'auth disable '*) words="--help $common" ;;
        'status'|'status '*) words="--help $common" ;;
        'cluster-health'|'cluster-health '*) words="--forever --help $common" ;;
        'history'|'history '*) words="--help $common" ;;
        'top'|'top '*) words="--metrics --interval --count --help $common" ;;
        'config check'|'config check '*) words="--help $settings" ;;
        'config show'|'config show '*) words="--json --help $settings" ;;
        'import'|'import '*) words="--from --hidden --password-file --format --out --dry-run --etcd-wal-dir --take-what-is-sound --committed-only --cluster-id --index-margin --help $settings" ;;
        'raftlog inspect'|'raftlog inspect '*) words="--help $settings" ;;
        'raftlog cut'|'raftlog cut '*) words="--help $settings" ;;
        'version'|'version '*) words="--help" ;;
        'licenses'|'licenses '*) words="--help" ;;
        'completion'|'completion '*) words="--help" ;;
        'help'|'help '*) words="--help" ;;
        esac
    elif [[ $command || $COMP_CWORD == 1 ]]; then
        case $command in
        '') words='serve health auth backup restore export verify inspect diff mirror get set mk mkdir setdir update updatedir cas rm rmdir mv cp txn ls watch exec-watch lock member user role status cluster-health history top config import raftlog version licenses completion help' ;;
        'auth') words='init enable disable' ;;
        'help auth') words='init enable disable' ;;
        'mirror') words='status promote' ;;
        'help mirror') words='status promote' ;;
        'member') words='list add remove update' ;;
        'help member') words='list add remove update' ;;
        'user') words='list get add remove grant revoke passwd' ;;
        'help user') words='list get add remove grant revoke passwd' ;;
        'role') words='list get add remove grant revoke' ;;
        'help role') words='list get add remove grant revoke' ;;
        'config') words='check show' ;;
        'help config') words='check show' ;;
        'raftlog') words='inspect cut' ;;
        'help raftlog') words='inspect cut' ;;
        'completion') words='bash zsh fish' ;;
        'help') words='serve health auth backup restore export verify inspect diff mirror get set mk mkdir setdir update updatedir cas rm rmdir mv cp txn ls watch exec-watch lock member user role status cluster-health history top config import raftlog version licenses completion help' ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _copse copse
