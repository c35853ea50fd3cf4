#compdef copse
# zsh completion for copse, as copse completion zsh prints it.
_copse() {
  local -a settings words_here
  settings=(
    '--config-file=[YAML file with settings, named like the flags]:path:_files'
    '--name=[This member'\''s name]:text:'
    '--data-dir=[Data directory]:path:_files'
    '--listen-client-urls=[Addresses to serve clients on, http or https]:urls:'
    '--listen-peer-urls=[Addresses to serve other members on, http or https]:urls:'
    '--advertise-client-urls=[URLs for clients to reach this member; client libraries discover endpoints from them]:urls:'
    '--initial-advertise-peer-urls=[URLs for other members to reach this one]:urls:'
    '--initial-cluster=[The founding members, including this one]:name=url,...:'
    '--initial-cluster-state=[With an empty data directory: new founds a cluster, existing joins one]:value:(new existing)'
    '--initial-cluster-token=[Distinguishes clusters that were founded with the same URLs]:text:'
    '--shards=[Number of shards, up to 64]:n:'
    '--force-new-cluster=-[Make this member the only one of its cluster, keeping its data]::value:(true false)'
    '--bump-index=[With force-new-cluster, how much to add to X-Etcd-Index: more than there can have been changes that this member'\''s data lacks]:n:'
    '--cert-file=[Certificate (PEM) for https in listen-client-urls and listen-metrics-urls]:path:_files'
    '--key-file=[Private key (PEM) of the certificate]:path:_files'
    '--trusted-ca-file=[Trusted certificate authorities (PEM)]:path:_files'
    '--client-cert-auth=-[Require a certificate signed by an authority of trusted-ca-file]::value:(true false)'
    '--client-crl-file=[Certificates that their authorities have revoked (PEM, or one list in DER); they are refused]:path:_files'
    '--client-cert-allowed-cn=[The only common name that certificates may have]:name:'
    '--client-cert-allowed-hostname=[A host name or address that certificates must be for]:name:'
    '--auto-tls=-[Without cert-file, use a certificate that signs itself, made at the start and kept in the data directory]::value:(true false)'
    '--peer-cert-file=[Certificate (PEM) for https in listen-peer-urls, also shown when dialling other members]:path:_files'
    '--peer-key-file=[Private key (PEM) of the certificate]:path:_files'
    '--peer-trusted-ca-file=[Trusted certificate authorities (PEM)]:path:_files'
    '--peer-client-cert-auth=-[Require a certificate signed by an authority of peer-trusted-ca-file]::value:(true false)'
    '--peer-crl-file=[Certificates that their authorities have revoked (PEM, or one list in DER); they are refused]:path:_files'
    '--peer-cert-allowed-cn=[The only common name that certificates may have]:name:'
    '--peer-cert-allowed-hostname=[A host name or address that certificates must be for]:name:'
    '--peer-auto-tls=-[Without peer-cert-file, use a certificate that signs itself, made at the start and kept in the data directory]::value:(true false)'
    '--cluster-secret-file=[File with the secret that all members share, at least 32 random characters]:path:_files'
    '--self-signed-cert-validity=[How long the certificates of auto-tls and peer-auto-tls are good; then new ones are made]:years:'
    '--heartbeat-interval=[Interval between heartbeats of a leader, in milliseconds]:ms:'
    '--election-timeout=[Time without a heartbeat before an election, in milliseconds]:ms:'
    '--snapshot-count=[Raft entries between compactions of the log; at least 1000]:n:'
    '--cors=[Allowed CORS origins: a list, or * for all]:origins:'
    '--event-history=[Number of past events that waitIndex can reach]:n:'
    '--event-history-bytes=[Size of those events as JSON, in each shard: if they are larger, fewer are kept]:size:'
    '--max-request-bytes=[Maximum size of a request body]:size:'
    '--max-header-bytes=[Maximum size of request line and headers]:size:'
    '--request-timeout=[Timeout of a write or a quorum read; 0 is the default]:duration:'
    '--ttl-pause=-[Times to live stand still while nothing can be written, as without a leader: whoever refreshes a key in time keeps it]::value:(true false)'
    '--read-timeout=[Timeout for a client to send a request]:duration:'
    '--idle-timeout=[How long an idle connection is kept open]:duration:'
    '--cache-size=[Memory for the caches: half for blocks of the store, a quarter each for nodes and for listings]:size:'
    '--disk-reserve=[Disk space to keep free]:size:'
    '--timer-slack=[How late the kernel may wake the process'\''s threads, at most 10ms: Go'\''s runtime then takes less CPU time]:duration:'
    '--listen-metrics-urls=[Addresses of the operations port, with probes and metrics; off, or an empty flag, disables it]:urls:'
    '--root-password-file=[At the start, give the user root the password in this file, whatever it was: when it is lost]:path:_files'
    '--enable-pprof=-[Serve Go profiles at /debug/pprof/ on the operations port]::value:(true false)'
    '--drain-delay=[On a stop, how long to keep serving while /readyz fails, for load balancers to notice]:duration:'
    '--slow-request=[Log requests that take longer]:duration:'
    '--log-format=[Format of the log; auto is text on a terminal, json otherwise]:value:(auto text json)'
    '--log-level=[Lowest level that is logged]:value:(debug info warn error)'
  )
  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
    words_here=(
      'serve:Start the server. The default command.'
      'health:Check the server on this machine: exit code 0 if it is healthy, 1 if not.'
      'auth:Users and permissions.'
      'backup:Save the whole tree of a running server to a file.'
      'restore:Make a data directory from a backup.'
      'export:Save the tree of a stopped server to a file, from its data directory.'
      'verify:Read a backup as copse restore does: exit code 0 if it is whole, 1 if not.'
      'inspect:Print what the header of a backup says. It is not verified.'
      'diff:Compare two backups, or servers.'
      'config:Look at the settings.'
      'import:Take over the data of an etcd: make a data directory, or a file, from etcd'\''s.'
      'raftlog:Look at the raft log, or mend it.'
      'version:Print the versions of copse, of Go, and of the etcd whose API it serves.'
      'completion:Print a completion script for a shell.'
      'help:Print this help, or the help of one command.'
    )
    _describe command words_here
    return
  fi
  case $words[2] in
  auth)
    if (( CURRENT == 3 )); then
      words_here=(
        'init:Make the user root, and enable auth with it, in one step.'
      )
      _describe command words_here
      return
    fi
    case $words[3] in
    init) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' '--password-file=[File with the password of root; newlines at its end don'\''t count]:path:_files' '--endpoint=[URL of the server]:url:' $settings ;;
    esac ;;
  config)
    if (( CURRENT == 3 )); then
      words_here=(
        'check:Check the settings and the certificates without starting.'
        'show:Print each setting, its value and where it came from.'
      )
      _describe command words_here
      return
    fi
    case $words[3] in
    check) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' $settings ;;
    show) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' '--json=-[Print a JSON array of settings, with all values as strings]::value:(true false)' $settings ;;
    esac ;;
  raftlog)
    if (( CURRENT == 3 )); then
      words_here=(
        'inspect:Print what the raft log of a stopped server holds.'
        'cut:Drop what lies behind the damage of a raft log, for good.'
      )
      _describe command words_here
      return
    fi
    case $words[3] in
    inspect) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' $settings ;;
    cut) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' $settings ;;
    esac ;;
  serve) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' $settings ;;
  health) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '--quiet=-[Print nothing, only set the exit code]::value:(true false)' '--endpoint=[URL to request instead; /health if it has no path]:url:' '--timeout=[Timeout of the request]:duration:' $settings ;;
  backup) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '--endpoint=[URL of the server]:url:' '--password-file=[File with the password of root; newlines at its end don'\''t count]:path:_files' '--stale=-[Take what the server has, even without a leader]::value:(true false)' '--quiet=-[Print errors only]::value:(true false)' $settings ;;
  restore) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '--new-cluster-id=-[Give the cluster a new id: for a copy that lives beside the original]::value:(true false)' '--resume=-[Go on where the file of a copse import ends, with its events and without bump-index: etcd must have stopped for good, and the file never have been used]::value:(true false)' '--if-empty=-[If the directory has data already, do nothing, and exit with 0: for what runs before each start]::value:(true false)' '--ttl=[Let keys expire when they would have (absolute), or later by the time since the backup (extend) or by a duration]:value:(absolute extend duration)' $settings ;;
  export) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' $settings ;;
  verify) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' ;;
  inspect) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' ;;
  diff) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '--password-file=[File with the password of root; newlines at its end don'\''t count]:path:_files' $settings ;;
  import) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '--out=[File to write in place of a data directory]:path:_files' '--dry-run=-[Only print what is there]::value:(true false)' '--etcd-wal-dir=[Directory of etcd'\''s log, if etcd had --wal-dir]:path:_files' '--take-what-is-sound=-[With a damaged directory: take what is before the damage]::value:(true false)' '--committed-only=-[Leave out what isn'\''t known to be committed, acknowledged writes among it]::value:(true false)' '--cluster-id=[The cluster'\''s id, as X-Etcd-Cluster-Id has it]:hex:' '--index-margin=[How far above the source'\''s index copse goes on]:number:' $settings ;;
  version) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' ;;
  completion) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '1:word:(bash zsh fish)' ;;
  help) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '1:word:(serve health auth backup restore export verify inspect diff config import raftlog version completion help)' ;;
  *) _arguments '--version[Print the version]' '--help[Print the help]' $settings ;;
  esac
}
if [[ $funcstack[1] == _copse ]]; then
  _copse "$@"
elif (( $+functions[compdef] )); then
  compdef _copse copse
fi
