package verdict

import "fmt"

// Kind names the promise that was broken.
type Kind string

const (
	LostWrite    Kind = "lost write"
	IndexReused  Kind = "index given twice"
	IndexBack    Kind = "index went back"
	IndexGap     Kind = "index gap"
	TermBack     Kind = "term went back"
	RaftBack     Kind = "raft index went back"
	StaleRead    Kind = "stale quorum read"
	ReplyDiffers Kind = "reply differs"
	ReadDiffers  Kind = "read differs"
	FromNowhere  Kind = "value from nowhere"
	EventMissing Kind = "event missing"
	EventTwice   Kind = "event twice"
	EventOrder   Kind = "event out of order"
	EventAlien   Kind = "event that nobody asked for"
	EventDiffers Kind = "event differs"
	AppliedTwice Kind = "write applied twice"
	Torn         Kind = "transaction torn"
	AppliedLate  Kind = "write applied after a restart"
	EarlyExpiry  Kind = "expired early"
	TTLDiffers   Kind = "ttl differs"
	FalseCleared Kind = "history said to be cleared and was not"
	Resurrected  Kind = "resurrected key"
	TreeDiffers  Kind = "tree differs"
	PrevDiffers  Kind = "prevNode differs"
	MemberDiffer Kind = "members differ"
	MemberDied   Kind = "member ended by itself"
	NotLinear    Kind = "register not linearizable"
	Undecided    Kind = "history too thin to judge"
)

// Violation is a broken promise.
type Violation struct {
	Kind   Kind
	Detail string
}

func (v Violation) String() string { return string(v.Kind) + ": " + v.Detail }

// complaintLimit bounds how many violations of one kind are reported: one lost write
// makes everything after it wrong as well.
const complaintLimit = 5

// Book collects the findings of one check.
type Book struct {
	Found []Violation
	count map[Kind]int
}

// Complain records a broken promise, unless there are too many of its kind already.
func (b *Book) Complain(kind Kind, format string, args ...any) {
	if b.count == nil {
		b.count = map[Kind]int{}
	}
	if b.count[kind]++; b.count[kind] <= complaintLimit {
		b.Found = append(b.Found, Violation{kind, fmt.Sprintf(format, args...)})
	}
}
