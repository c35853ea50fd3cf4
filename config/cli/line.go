package cli

import "time"

// Line is the grammar, and what a command line has said.
type Line struct {
	Global
	keys
	members
	users
	cluster
}

type keys struct {
	Get       Get       `cmd:"" help:"Print the value of a key."`
	Set       Set       `cmd:"" help:"Set the value of a key."`
	Mk        Make      `cmd:"" help:"Make a key that must not exist."`
	Mkdir     Directory `cmd:"" help:"Make a directory that must not exist."`
	Setdir    Directory `cmd:"" help:"Make a directory, or one of a key."`
	Update    Update    `cmd:"" help:"Change the value of a key that must exist."`
	Updatedir Directory `cmd:"" help:"Change the time to live of a directory."`
	Cas       CAS       `cmd:"" help:"Set a key if it still has the value that is expected."`
	Rm        Remove    `cmd:"" help:"Remove a key, or a directory."`
	Rmdir     RemoveDir `cmd:"" help:"Remove an empty directory, or a key."`
	wide
}

// wide are the commands for more than one key, or one moment.
type wide struct {
	Mv        Copy      `cmd:"" help:"Give a key, or a directory with all below, another name."`
	Cp        Copy      `cmd:"" help:"Copy a key, or a directory with all below."`
	Txn       Txn       `cmd:"" help:"Do several writes, or none: as JSON says (see API.md)."`
	Ls        List      `cmd:"" help:"List a directory."`
	Watch     Watch     `cmd:"" help:"Print changes as they happen."`
	ExecWatch ExecWatch `cmd:"" help:"Run a command at each change."`
	Lock      Lock      `cmd:"" help:"Hold a lock while a command runs, and exit with its code."`
}

type members struct {
	Member struct {
		List   None         `cmd:"" help:"List the members."`
		Add    MemberAdd    `cmd:"" help:"Add a member, which starts afterwards."`
		Remove MemberRemove `cmd:"" help:"Remove a member."`
		Update MemberUpdate `cmd:"" help:"Give a member other peer URLs."`
	} `cmd:"" help:"Members of the cluster."`
}

type users struct {
	User struct {
		List   None  `cmd:"" help:"List the users."`
		Get    Name  `cmd:"" help:"Print the roles of a user."`
		Add    Name  `cmd:"" help:"Add a user, as name or name:password; else the password is asked for."`
		Remove Name  `cmd:"" help:"Remove a user."`
		Grant  Roles `cmd:"" help:"Give roles to a user."`
		Revoke Roles `cmd:"" help:"Take roles from a user."`
		Passwd Name  `cmd:"" help:"Change a user's password."`
	} `cmd:"" help:"Users."`

	Role struct {
		List   None       `cmd:"" help:"List the roles."`
		Get    Name       `cmd:"" help:"Print what a role may read and write."`
		Add    Name       `cmd:"" help:"Add a role."`
		Remove Name       `cmd:"" help:"Remove a role."`
		Grant  Permission `cmd:"" help:"Let a role read or write a path."`
		Revoke Permission `cmd:"" help:"Take a permission from a role."`
	} `cmd:"" help:"Roles, and what they may do."`

	Auth struct {
		Enable  None `cmd:"" help:"Turn auth on; there must be a user root."`
		Disable None `cmd:"" help:"Turn auth off."`
	} `cmd:"" help:"Users and permissions."`
}

type cluster struct {
	Status        None          `cmd:"" help:"Print each member's version, role, index and term."`
	ClusterHealth ClusterHealth `cmd:"" help:"Ask each member for its health."`
	History       None          `cmd:"" help:"Print what waitIndex can reach, and below which names more of it."`
	Top           Top           `cmd:"" help:"Show requests, watchers, leaders and busy prefixes, live."`
}

// Global are the flags of every command.
type Global struct {
	Endpoints    string        `help:"URLs of the servers, separated by commas." default:"http://127.0.0.1:2379,http://127.0.0.1:4001" placeholder:"URLS" env:"COPSE_ENDPOINTS,ETCDCTL_ENDPOINTS,ETCDCTL_ENDPOINT"`
	Endpoint     string        `help:"The same, by its older name." hidden:""`
	Peers        string        `help:"The same, by its oldest name; the scheme may be left out." short:"C" hidden:"" env:"ETCDCTL_PEERS"`
	Output       string        `help:"Form of what is printed: simple, extended or json." short:"o" enum:"simple,extended,json" default:"simple" placeholder:"FORM"`
	NoSync       bool          `help:"Use the endpoints as given, and don't ask them for the members."`
	Timeout      time.Duration `help:"How long to wait for a connection, and for one server to answer." default:"2s"`
	TotalTimeout time.Duration `help:"How long the command may take; a watch isn't limited." default:"5s"`
	Debug        bool          `help:"Print each request as a call of curl."`
	Credentials
}

// Credentials prove to a server who asks.
type Credentials struct {
	CertFile     string `help:"Certificate (PEM) to show." placeholder:"PATH" env:"COPSE_CERT_FILE,ETCDCTL_CERT_FILE"`
	KeyFile      string `help:"Private key (PEM) of the certificate." placeholder:"PATH" env:"COPSE_KEY_FILE,ETCDCTL_KEY_FILE"`
	CAFile       string `name:"ca-file" help:"Authorities (PEM) to trust beside the system's." placeholder:"PATH" env:"COPSE_CA_FILE,ETCDCTL_CA_FILE"`
	Username     string `help:"User, or user:password. The password is asked for if it is given nowhere." short:"u" placeholder:"USER" env:"COPSE_USERNAME,ETCDCTL_USERNAME"`
	PasswordFile string `help:"File with the password of the user." placeholder:"PATH" env:"COPSE_PASSWORD_FILE"`
}

// None is a command without flags or operands of its own.
type None struct{}

// Get is copse get.
type Get struct {
	Key    string `arg:""`
	Sort   bool   `help:"Has no effect on one key."`
	Quorum bool   `help:"Ask the leader, for the newest value." short:"q"`
	Base64 bool   `help:"The value is stored as base64: print the bytes." name:"base64" xor:"bytes"`
	Raw    bool   `help:"Print the bytes of the value as they are, which only copse tells." xor:"bytes"`
}

// Value says where a value comes from.
type Value struct {
	Value  *string `arg:"" optional:"" help:"The value; if left out, it is read from standard input."`
	File   string  `help:"Read the value from a file; - is standard input." placeholder:"PATH"`
	Base64 bool    `help:"Store the value as base64, for bytes that aren't UTF-8." name:"base64" xor:"bytes"`
	Raw    bool    `help:"Store the value as it is, though it isn't UTF-8; copse get --raw prints it." xor:"bytes"`
}

// Lifetime is the time to live of a node.
type Lifetime struct {
	TTL int64 `name:"ttl" help:"Time to live in seconds; 0 is forever." placeholder:"SECONDS"`
}

// Copy is copse mv and cp.
type Copy struct {
	From      string `arg:""`
	To        string `arg:""`
	Overwrite bool   `help:"TO may be a key already."`
}

// Txn is copse txn.
type Txn struct {
	File string `arg:"" optional:"" help:"File with the JSON; if left out, or -, it is read from standard input."`
}

// Set is copse set.
type Set struct {
	Key string `arg:""`
	Value
	Lifetime
	SwapWithValue string `help:"Only if this is the value now." placeholder:"TEXT"`
	SwapWithIndex uint64 `help:"Only if this is the modified index now." placeholder:"INDEX"`
}

// Make is copse mk.
type Make struct {
	Key string `arg:""`
	Value
	Lifetime
	InOrder bool `help:"Make a key below KEY whose name is the next number."`
}

// Directory is copse mkdir, setdir and updatedir.
type Directory struct {
	Key string `arg:""`
	Lifetime
}

// Update is copse update.
type Update struct {
	Key string `arg:""`
	Value
	Lifetime
}

// CAS is copse cas.
type CAS struct {
	Key string `arg:""`
	Old string `arg:"" help:"The value that is expected."`
	Value
	Lifetime
}

// Remove is copse rm.
type Remove struct {
	Key       string `arg:""`
	Dir       bool   `help:"Remove an empty directory too."`
	Recursive bool   `help:"Remove a directory with everything below it." short:"r"`
	WithValue string `help:"Only if this is the value now." placeholder:"TEXT"`
	WithIndex uint64 `help:"Only if this is the modified index now." placeholder:"INDEX"`
}

// RemoveDir is copse rmdir.
type RemoveDir struct {
	Key string `arg:""`
}

// List is copse ls.
type List struct {
	Key       string `arg:"" optional:"" default:"/"`
	Sort      bool   `help:"Sort by name."`
	Recursive bool   `help:"List everything below, at any depth." short:"r"`
	Slash     bool   `name:"p" help:"Print a / behind the names of directories."`
	Quorum    bool   `help:"Ask the leader, for the newest state." short:"q"`
	Hidden    bool   `help:"List hidden nodes too. Only copse's servers can."`
	Depth     uint32 `help:"List so many levels. Only copse's servers can." placeholder:"LEVELS"`
	Count     bool   `help:"Print how many nodes there are, and none of them. Only copse's servers can."`
}

// From says where a watch begins, and how much it sees.
type From struct {
	AfterIndex uint64 `help:"Begin with the change behind this index." placeholder:"INDEX"`
	Recursive  bool   `help:"Watch everything below too." short:"r"`
}

// Watch is copse watch.
type Watch struct {
	Keys []string `arg:"" name:"key" help:"Of copse, several keys can be watched as one."`
	From
	Forever bool `help:"Go on until interrupted, not only to the first change." short:"f"`
	Raw     bool `help:"Print the bytes of values as they are, which only copse tells; as JSON, value64 has them."`
}

// ExecWatch is copse exec-watch.
type ExecWatch struct {
	Words []string `arg:"" name:"words" help:"KEY -- COMMAND [ARGUMENTS], or COMMAND [ARGUMENTS] KEY. The command gets ETCD_WATCH_ACTION, _KEY, _VALUE and _MODIFIED_INDEX."`
	From
}

// Lock is copse lock.
type Lock struct {
	Key     string        `arg:""`
	Command []string      `arg:"" help:"What to run while the lock is held. It is ended if the lock is lost."`
	TTL     int64         `name:"ttl" help:"Seconds until a lock is free whose holder is gone; a holder that lives refreshes it." default:"15" placeholder:"SECONDS"`
	Wait    time.Duration `help:"How long to wait for the lock; 0 is for ever." placeholder:"DURATION"`
}

// MemberAdd is copse member add.
type MemberAdd struct {
	Name    string `arg:""`
	PeerURL string `arg:"" name:"peer-url"`
}

// MemberRemove is copse member remove.
type MemberRemove struct {
	ID string `arg:"" name:"id"`
}

// MemberUpdate is copse member update.
type MemberUpdate struct {
	ID       string `arg:"" name:"id"`
	PeerURLs string `arg:"" name:"peer-urls" help:"Separated by commas."`
}

// Name is the user or role that a command is about.
type Name struct {
	Name string `arg:""`
}

// Roles are given to a user, or taken.
type Roles struct {
	Name
	Roles []string `help:"The roles, separated by commas." placeholder:"NAMES" required:""`
}

// Permission is given to a role, or taken.
type Permission struct {
	Name
	Path      string `help:"A key, or a prefix that ends in *." placeholder:"PATH" required:""`
	Read      bool   `help:"To read." xor:"what"`
	Write     bool   `help:"To write." xor:"what"`
	ReadWrite bool   `name:"readwrite" aliases:"rw" help:"Both." xor:"what"`
}

// ClusterHealth is copse cluster-health.
type ClusterHealth struct {
	Forever bool `help:"Ask again every ten seconds until interrupted." short:"f"`
}

// Top is copse top.
type Top struct {
	Metrics  string        `help:"URLs of the operations ports; by default port 2381 of each member." placeholder:"URLS" env:"COPSE_METRICS_URLS"`
	Interval time.Duration `help:"Time between two pictures." default:"2s"`
	Count    int           `help:"Pictures until it ends; 0 is for ever. Without a terminal, one." placeholder:"N"`
}
