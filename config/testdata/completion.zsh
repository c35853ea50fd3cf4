#compdef copse
# zsh completion for copse, as copse completion zsh prints it.
_copse() {
  local -a settings words_here
  settings=(
    '--config-file=[A YAML file of settings, under the names of the flags]:path:_files'
    '--name=[This member'\''s name]:text:'
    '--data-dir=[Where the data is kept]:path:_files'
    '--listen-client-urls=[Where clients are served, http or https]:urls:'
    '--listen-peer-urls=[Where other members are served, http or https]:urls:'
    '--advertise-client-urls=[How clients reach this member; libraries learn endpoints from it]:urls:'
    '--initial-advertise-peer-urls=[How other members reach this one]:urls:'
    '--initial-cluster=[The founding members, this one among them; a name may come once for each of its URLs]:name=url,...:'
    '--initial-cluster-state=[new: a fresh data directory founds a cluster]:value:(new existing)'
    '--initial-cluster-token=[Tells clusters apart that were founded alike]:text:'
    '--shards=[Shards that the tree is spread over by top-level names, 1 to 64, each with a leader of its own]:n:'
    '--force-new-cluster=-[Make this member the only one of its cluster, with its data]::value:(true false)'
    '--cert-file=[The certificate for https in listen-client-urls and listen-metrics-urls, PEM]:path:_files'
    '--key-file=[Its key, PEM]:path:_files'
    '--trusted-ca-file=[The authorities whose certificates are trusted, PEM]:path:_files'
    '--client-cert-auth=-[Serve only who shows a certificate that trusted-ca-file vouches for]::value:(true false)'
    '--peer-cert-file=[The certificate for https in listen-peer-urls, PEM; this member shows it to others too]:path:_files'
    '--peer-key-file=[Its key, PEM]:path:_files'
    '--peer-trusted-ca-file=[The authorities whose certificates are trusted, PEM]:path:_files'
    '--peer-client-cert-auth=-[Serve only who shows a certificate that peer-trusted-ca-file vouches for]::value:(true false)'
    '--heartbeat-interval=[How often a leader shows itself, in milliseconds]:ms:'
    '--election-timeout=[How long a silent leader is trusted, in milliseconds]:ms:'
    '--snapshot-count=[Raft entries between two compactions of the log; at least 1000]:n:'
    '--cors=[Origins that browsers may call from: a list, or *]:origins:'
    '--event-history=[Events that waitIndex can reach back to]:n:'
    '--event-history-bytes=[Size of those events as JSON, in each shard: fewer are kept where they are larger]:size:'
    '--max-request-bytes=[Largest body of a request]:size:'
    '--max-header-bytes=[Largest request line with headers; each connection in use has a buffer of this size]:size:'
    '--request-timeout=[How long a write or a quorum read may take; 0 is the default]:duration:'
    '--read-timeout=[How long a client may take to send a request]:duration:'
    '--idle-timeout=[How long a connection is kept between two requests]:duration:'
    '--cache-size=[Memory for the cache of the store'\''s blocks]:size:'
    '--disk-reserve=[What must stay free on the disk: below it, writes that grow the store are refused, so that log and store can finish what they began]:size:'
    '--listen-metrics-urls=[The operations port: health, readiness, metrics]:urls:'
    '--enable-pprof=-[Serve profiles at /debug/pprof/ on the operations port]::value:(true false)'
    '--drain-delay=[How long a member that was told to stop goes on serving while it says that it is not ready, for load balancers to notice]:duration:'
    '--slow-request=[Requests that take longer are logged]:duration:'
    '--log-format=[How log lines are written; auto is text on a terminal and json elsewhere]:value:(auto text json)'
    '--log-level=[The least serious lines that are logged]:value:(debug info warn error)'
  )
  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
    words_here=(
      'serve:Serve; what copse does when no command is given.'
      'health:Exit with 0 if the server on this machine is well, with 1 if not.'
      'config:Look at the settings.'
      'version:Print the versions of copse, of Go, and of the etcd that it answers like.'
      'completion:Print a completion script for a shell.'
      'help:Print the help, or that of one command.'
    )
    _describe command words_here
    return
  fi
  case $words[2] in
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
    show) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' '--json=-[Print JSON: an array of settings, with strings for values]::value:(true false)' $settings ;;
    esac ;;
  serve) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' $settings ;;
  health) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '--quiet=-[Print nothing; the exit code says it all]::value:(true false)' '--endpoint=[Ask this address instead: /health, unless the URL has a path]:url:' '--timeout=[How long the answer may take]:duration:' $settings ;;
  version) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' ;;
  completion) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '1:word:(bash zsh fish)' ;;
  help) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '1:word:(serve health config version completion help)' ;;
  *) _arguments '--version[Print the version]' '--help[Print the help]' $settings ;;
  esac
}
if [[ $funcstack[1] == _copse ]]; then
  _copse "$@"
elif (( $+functions[compdef] )); then
  compdef _copse copse
fi
