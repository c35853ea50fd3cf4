#compdef copse
# zsh completion for copse, as copse completion zsh prints it.
_copse_keys() {
  local -a found
  found=(${(f)"$(copse ls -p --timeout=1s --total-timeout=1s -- ${(Q)${PREFIX%"${PREFIX##*/}"}} 2>/dev/null)"})
  compadd -S '' -- $found
}
_copse() {
  local -a settings common words_here
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
    '--mirror-from=[With an empty data directory: client URLs of a live etcd that the new cluster follows, until copse mirror promote; see docs/MIGRATING.md]:urls:'
    '--mirror-trusted-ca-file=[Certificate authorities (PEM) that may have signed the certificate of the etcd of mirror-from, beside the system'\''s]:path:_files'
    '--mirror-cert-file=[Certificate (PEM) to show to that etcd, if it asks for one]:path:_files'
    '--mirror-key-file=[Private key (PEM) of that certificate]:path:_files'
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
    '--event-history-per-prefix=[Number of past events that are also kept of each top-level name, so that waitIndex can reach them below that name whatever happens elsewhere]:n:'
    '--event-history-per-prefix-bytes=[Size of those events of one name as JSON: if they are larger, fewer are kept]:size:'
    '--event-history-per-prefix-age=[How long those events are kept]:duration:'
    '--event-history-prefixes=[Number of names in each shard whose events are kept]:n:'
    '--event-history-prefixes-bytes=[Size as JSON of the events that are kept of all names, in each shard: if they are larger, fewer are kept of the names that have most]:size:'
    '--max-request-bytes=[Maximum size of a request body]:size:'
    '--max-header-bytes=[Maximum size of request line and headers together]:size:'
    '--request-timeout=[Timeout of a write or a quorum read; 0 is the default]:duration:'
    '--ttl-pause=-[Times to live stand still while nothing can be written, as without a leader: whoever refreshes a key in time keeps it]::value:(true false)'
    '--read-timeout=[Timeout for a client to send a request]:duration:'
    '--idle-timeout=[How long an idle connection is kept open]:duration:'
    '--cache-size=[Memory for the caches: half for blocks of the store, a quarter each for nodes and for printed listings and values]:size:'
    '--disk-reserve=[Disk space to keep free]:size:'
    '--timer-slack=[How late the kernel may wake the process'\''s threads, at most 10ms: Go'\''s runtime then takes less CPU time]:duration:'
    '--listen-metrics-urls=[Addresses of the operations port, with probes and metrics; off, or an empty flag, disables it]:urls:'
    '--ui=[A web page at /ui/ to look at keys, events and the cluster]:value:(off read write)'
    '--ui-port=[The port with the web page]:value:(operations clients)'
    '--root-password-file=[At the start, give the user root the password in this file, whatever it was: when it is lost]:path:_files'
    '--enable-pprof=-[Serve Go profiles at /debug/pprof/ on the operations port]::value:(true false)'
    '--drain-delay=[On a stop, how long to keep serving while /readyz fails, for load balancers to notice]:duration:'
    '--slow-request=[Log requests that take longer]:duration:'
    '--log-format=[Format of the log; auto is text on a terminal, json otherwise]:value:(auto text json)'
    '--log-level=[Lowest level that is logged]:value:(debug info warn error)'
  )
  common=(
    '--endpoints=[URLs of the servers, separated by commas]:urls:'
    '--output=[Form of what is printed: simple, extended or json]:value:(simple extended json)' '-o[Form of what is printed: simple, extended or json]:value:(simple extended json)'
    '--no-sync=-[Use the endpoints as given, and don'\''t ask them for the members]::value:(true false)'
    '--timeout=[How long to wait for a connection, and for one server to answer]:duration:'
    '--total-timeout=[How long the command may take; a watch isn'\''t limited]:duration:'
    '--debug=-[Print each request as a call of curl]::value:(true false)'
    '--cert-file=[Certificate (PEM) to show]:path:_files'
    '--key-file=[Private key (PEM) of the certificate]:path:_files'
    '--ca-file=[Authorities (PEM) to trust beside the system'\''s]:path:_files'
    '--username=[User, or user:password]:user:' '-u[User, or user:password]:user:'
    '--password-file=[File with the password of the user]:path:_files'
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
      'mirror:Look at a cluster that follows an etcd, or end that.'
      'get:Print the value of a key.'
      'set:Set the value of a key.'
      'mk:Make a key that must not exist.'
      'mkdir:Make a directory that must not exist.'
      'setdir:Make a directory, or one of a key.'
      'update:Change the value of a key that must exist.'
      'updatedir:Change the time to live of a directory.'
      'cas:Set a key if it still has the value that is expected.'
      'rm:Remove a key, or a directory.'
      'rmdir:Remove an empty directory, or a key.'
      'mv:Give a key, or a directory with all below, another name.'
      'cp:Copy a key, or a directory with all below.'
      'txn:Do several writes, or none: as JSON says (see API.md).'
      'ls:List a directory.'
      'watch:Print changes as they happen.'
      'exec-watch:Run a command at each change.'
      'lock:Hold a lock while a command runs, and exit with its code.'
      'member:Members of the cluster.'
      'user:Users.'
      'role:Roles, and what they may do.'
      'status:Print each member'\''s version, role, index and term.'
      'cluster-health:Ask each member for its health.'
      'history:Print what waitIndex can reach, and below which names more of it.'
      'top:Show requests, watchers, leaders and busy prefixes, live.'
      'config:Look at the settings.'
      'import:Take over the data of an etcd, from its directory, over HTTP or from a dump.'
      'raftlog:Look at the raft log, or mend it.'
      'version:Print the versions of copse, of Go, and of the etcd whose API it serves.'
      'licenses:Print the licences of copse and of everything that is linked into it.'
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
        'enable:Turn auth on; there must be a user root.'
        'disable:Turn auth off.'
      )
      _describe command words_here
      return
    fi
    case $words[3] in
    init) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' '--password-file=[File with the password of root; newlines at its end don'\''t count]:path:_files' '--endpoint=[URL of the server]:url:' $settings ;;
    enable) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' $common ;;
    disable) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' $common ;;
    esac ;;
  mirror)
    if (( CURRENT == 3 )); then
      words_here=(
        'status:Print how a mirror follows its source: exit code 0 if it lags by nothing.'
        'promote:Make a mirror a cluster of its own, which takes writes itself.'
      )
      _describe command words_here
      return
    fi
    case $words[3] in
    status) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' '--endpoint=[URL of the server]:url:' '--password-file=[File with the password of root; newlines at its end don'\''t count]:path:_files' '--json=-[Print a JSON array of settings, with all values as strings]::value:(true false)' $settings ;;
    promote) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' '--endpoint=[URL of the server]:url:' '--password-file=[File with the password of root; newlines at its end don'\''t count]:path:_files' '--despite-writers=-[Go on although clients have just written to the source directly, or its clock differs]::value:(true false)' '--hold-limit=[How long writes may be held, at most a minute]:duration:' '--index-margin=[How far above the source'\''s index copse goes on]:number:' $settings ;;
    esac ;;
  member)
    if (( CURRENT == 3 )); then
      words_here=(
        'list:List the members.'
        'add:Add a member, which starts afterwards.'
        'remove:Remove a member.'
        'update:Give a member other peer URLs.'
      )
      _describe command words_here
      return
    fi
    case $words[3] in
    list) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' $common ;;
    add) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' $common ;;
    remove) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' $common ;;
    update) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' $common ;;
    esac ;;
  user)
    if (( CURRENT == 3 )); then
      words_here=(
        'list:List the users.'
        'get:Print the roles of a user.'
        'add:Add a user, as name or name:password; else the password is asked for.'
        'remove:Remove a user.'
        'grant:Give roles to a user.'
        'revoke:Take roles from a user.'
        'passwd:Change a user'\''s password.'
      )
      _describe command words_here
      return
    fi
    case $words[3] in
    list) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' $common ;;
    get) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' $common ;;
    add) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' $common ;;
    remove) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' $common ;;
    grant) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' '--roles=[The roles, separated by commas]:names:' $common ;;
    revoke) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' '--roles=[The roles, separated by commas]:names:' $common ;;
    passwd) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' $common ;;
    esac ;;
  role)
    if (( CURRENT == 3 )); then
      words_here=(
        'list:List the roles.'
        'get:Print what a role may read and write.'
        'add:Add a role.'
        'remove:Remove a role.'
        'grant:Let a role read or write a path.'
        'revoke:Take a permission from a role.'
      )
      _describe command words_here
      return
    fi
    case $words[3] in
    list) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' $common ;;
    get) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' $common ;;
    add) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' $common ;;
    remove) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' $common ;;
    grant) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' '--path=[A key, or a prefix that ends in *]:path:_files' '--read=-[To read]::value:(true false)' '--write=-[To write]::value:(true false)' '--readwrite=-[Both]::value:(true false)' $common ;;
    revoke) shift 2 words; (( CURRENT -= 2 )); _arguments '--help[Print the help]' '--path=[A key, or a prefix that ends in *]:path:_files' '--read=-[To read]::value:(true false)' '--write=-[To write]::value:(true false)' '--readwrite=-[Both]::value:(true false)' $common ;;
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
  get) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '--sort=-[Has no effect on one key]::value:(true false)' '--quorum=-[Ask the leader, for the newest value]::value:(true false)' '-q[Ask the leader, for the newest value]' '--base64=-[The value is stored as base64: print the bytes]::value:(true false)' '--raw=-[Print the bytes of the value as they are, which only copse tells]::value:(true false)' $common '1:key:_copse_keys' ;;
  set) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '--file=[Read the value from a file; - is standard input]:path:_files' '--base64=-[Store the value as base64, for bytes that aren'\''t UTF-8]::value:(true false)' '--raw=-[Store the value as it is, though it isn'\''t UTF-8; copse get --raw prints it]::value:(true false)' '--ttl=[Time to live in seconds; 0 is forever]:seconds:' '--swap-with-value=[Only if this is the value now]:text:' '--swap-with-index=[Only if this is the modified index now]:index:' $common '1:key:_copse_keys' ;;
  mk) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '--file=[Read the value from a file; - is standard input]:path:_files' '--base64=-[Store the value as base64, for bytes that aren'\''t UTF-8]::value:(true false)' '--raw=-[Store the value as it is, though it isn'\''t UTF-8; copse get --raw prints it]::value:(true false)' '--ttl=[Time to live in seconds; 0 is forever]:seconds:' '--in-order=-[Make a key below KEY whose name is the next number]::value:(true false)' $common '1:key:_copse_keys' ;;
  mkdir) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '--ttl=[Time to live in seconds; 0 is forever]:seconds:' $common '1:key:_copse_keys' ;;
  setdir) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '--ttl=[Time to live in seconds; 0 is forever]:seconds:' $common '1:key:_copse_keys' ;;
  update) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '--file=[Read the value from a file; - is standard input]:path:_files' '--base64=-[Store the value as base64, for bytes that aren'\''t UTF-8]::value:(true false)' '--raw=-[Store the value as it is, though it isn'\''t UTF-8; copse get --raw prints it]::value:(true false)' '--ttl=[Time to live in seconds; 0 is forever]:seconds:' $common '1:key:_copse_keys' ;;
  updatedir) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '--ttl=[Time to live in seconds; 0 is forever]:seconds:' $common '1:key:_copse_keys' ;;
  cas) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '--file=[Read the value from a file; - is standard input]:path:_files' '--base64=-[Store the value as base64, for bytes that aren'\''t UTF-8]::value:(true false)' '--raw=-[Store the value as it is, though it isn'\''t UTF-8; copse get --raw prints it]::value:(true false)' '--ttl=[Time to live in seconds; 0 is forever]:seconds:' $common '1:key:_copse_keys' ;;
  rm) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '--dir=-[Remove an empty directory too]::value:(true false)' '--recursive=-[Remove a directory with everything below it]::value:(true false)' '-r[Remove a directory with everything below it]' '--with-value=[Only if this is the value now]:text:' '--with-index=[Only if this is the modified index now]:index:' $common '1:key:_copse_keys' ;;
  rmdir) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' $common '1:key:_copse_keys' ;;
  mv) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '--overwrite=-[TO may be a key already]::value:(true false)' $common ;;
  cp) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '--overwrite=-[TO may be a key already]::value:(true false)' $common ;;
  txn) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' $common ;;
  ls) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '--sort=-[Sort by name]::value:(true false)' '--recursive=-[List everything below, at any depth]::value:(true false)' '-r[List everything below, at any depth]' '--p=-[Print a / behind the names of directories]::value:(true false)' '--quorum=-[Ask the leader, for the newest state]::value:(true false)' '-q[Ask the leader, for the newest state]' '--hidden=-[List hidden nodes too]::value:(true false)' '--depth=[List so many levels]:levels:' '--count=-[Print how many nodes there are, and none of them]::value:(true false)' $common '1:key:_copse_keys' ;;
  watch) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '--after-index=[Begin with the change behind this index]:index:' '--recursive=-[Watch everything below too]::value:(true false)' '-r[Watch everything below too]' '--forever=-[Go on until interrupted, not only to the first change]::value:(true false)' '-f[Go on until interrupted, not only to the first change]' '--raw=-[Print the bytes of values as they are, which only copse tells; as JSON, value64 has them]::value:(true false)' $common '1:key:_copse_keys' ;;
  exec-watch) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '--after-index=[Begin with the change behind this index]:index:' '--recursive=-[Watch everything below too]::value:(true false)' '-r[Watch everything below too]' $common ;;
  lock) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '--ttl=[Seconds until a lock is free whose holder is gone; a holder that lives refreshes it]:seconds:' '--wait=[How long to wait for the lock; 0 is for ever]:duration:' $common '1:key:_copse_keys' ;;
  status) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' $common ;;
  cluster-health) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '--forever=-[Ask again every ten seconds until interrupted]::value:(true false)' '-f[Ask again every ten seconds until interrupted]' $common ;;
  history) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' $common ;;
  top) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '--metrics=[URLs of the operations ports; by default port 2381 of each member]:urls:' '--interval=[Time between two pictures]:duration:' '--count=[Pictures until it ends; 0 is for ever]:n:' $common ;;
  import) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '--from=[Client URLs of a running etcd, to read over HTTP in place of a directory]:urls:' '--hidden=[With from: keys below which hidden nodes are (a name begins with _), separated by commas]:keys:' '--password-file=[File with the password of root; newlines at its end don'\''t count]:path:_files' '--format=[Form of a dump: flat list, nested map, or etcd'\''s answer to a recursive GET]:value:(list map v2)' '--out=[File to write in place of a data directory]:path:_files' '--dry-run=-[Only print what is there]::value:(true false)' '--etcd-wal-dir=[Directory of etcd'\''s log, if etcd had --wal-dir]:path:_files' '--take-what-is-sound=-[With a damaged directory: take what is before the damage]::value:(true false)' '--committed-only=-[Leave out what isn'\''t known to be committed, acknowledged writes among it]::value:(true false)' '--cluster-id=[The cluster'\''s id, as X-Etcd-Cluster-Id has it]:hex:' '--index-margin=[How far above the source'\''s index copse goes on]:number:' $settings ;;
  version) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' ;;
  licenses) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' ;;
  completion) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '1:word:(bash zsh fish)' ;;
  help) shift words; (( CURRENT-- )); _arguments '--help[Print the help]' '1:word:(serve health auth backup restore export verify inspect diff mirror get set mk mkdir setdir update updatedir cas rm rmdir mv cp txn ls watch exec-watch lock member user role status cluster-health history top config import raftlog version licenses completion help)' ;;
  *) _arguments '--version[Print the version]' '--help[Print the help]' $settings ;;
  esac
}
if [[ $funcstack[1] == _copse ]]; then
  _copse "$@"
elif (( $+functions[compdef] )); then
  compdef _copse copse
fi
