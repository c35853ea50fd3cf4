package tree

import "strconv"

// Error is v2's answer to a command or read that is refused. It is a result, not a
// failure: the state machine returns it to the client, never to raft.
type Error struct {
	Code  Code
	Cause string // what v2 prints as the cause, often the key
	Index Index  // the latest index at that time; 0 for errors outside the tree
}

// Code is v2's errorCode.
type Code int

// The codes that copse uses.
const (
	CodeKeyNotFound      Code = 100
	CodeCompareFailed    Code = 101
	CodeNotFile          Code = 102
	CodeNotDir           Code = 104
	CodeNodeExist        Code = 105
	CodeRootReadOnly     Code = 107
	CodeDirNotEmpty      Code = 108
	CodeUnauthorized     Code = 110
	CodePrevValueEmpty   Code = 201
	CodeTTLNaN           Code = 202
	CodeIndexNaN         Code = 203
	CodeInvalidField     Code = 209
	CodeInvalidForm      Code = 210
	CodeRefreshValue     Code = 211
	CodeRefreshTTL       Code = 212
	CodeRaftInternal     Code = 300
	CodeEventIndexClosed Code = 401

	// Errors of membership changes. v2 has no codes for them, and no client
	// sees these.
	CodePeerURLExists Code = 1001
	CodeMemberExists  Code = 1002
	CodeMemberUnknown Code = 1003
	CodeMemberRemoved Code = 1004
	CodeQuorumLoss    Code = 1005 // too few members, or too few running ones, would remain
)

// Message returns v2's fixed text for the code; empty for an unknown one.
func (c Code) Message() string {
	switch c {
	case CodeKeyNotFound:
		return "Key not found"
	case CodeCompareFailed:
		return "Compare failed"
	case CodeNotFile:
		return "Not a file"
	case CodeNotDir:
		return "Not a directory"
	case CodeNodeExist:
		return "Key already exists"
	case CodeRootReadOnly:
		return "Root is read only"
	case CodeDirNotEmpty:
		return "Directory not empty"
	case CodeUnauthorized:
		return "The request requires user authentication"
	case CodePrevValueEmpty:
		return "PrevValue is Required in POST form"
	case CodeTTLNaN:
		return "The given TTL in POST form is not a number"
	case CodeIndexNaN:
		return "The given index in POST form is not a number"
	case CodeInvalidField:
		return "Invalid field"
	case CodeInvalidForm:
		return "Invalid POST form"
	case CodeRefreshValue:
		return "Value provided on refresh"
	case CodeRefreshTTL:
		return "A TTL must be provided on refresh"
	case CodeRaftInternal:
		return "Raft Internal Error"
	case CodeEventIndexClosed:
		return "The event in requested index is outdated and cleared"
	case CodePeerURLExists:
		return "Peer URL belongs to another member"
	case CodeMemberExists:
		return "Member already exists"
	case CodeMemberUnknown:
		return "Member not found"
	case CodeMemberRemoved:
		return "Member was permanently removed"
	case CodeQuorumLoss:
		return "The cluster would lose its quorum"
	}
	return ""
}

// Error returns code, message, cause and index in one line, for logs and tests.
func (e *Error) Error() string {
	return strconv.Itoa(int(e.Code)) + ": " + e.Code.Message() + " (" + e.Cause + ") [" +
		strconv.FormatUint(uint64(e.Index), 10) + "]"
}

// Unavailable returns v2's answer to a request that raft didn't complete; err is the
// cause. The command may have been carried out all the same, unless it was turned
// away before it was proposed.
func Unavailable(err error) *Error { return &Error{Code: CodeRaftInternal, Cause: err.Error()} }
