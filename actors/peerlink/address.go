package peerlink

import "errors"

// MemberUUID returns the member's id as the engine wants its targets: in the
// form of a UUID.
func MemberUUID(id uint64) string { return "" }

// UUIDMember returns the member's id that MemberUUID has put into a UUID.
func UUIDMember(uuid string) (uint64, error) { return 0, errors.ErrUnsupported }
