package tree

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Members are encoded, in the Value of a command that changes the membership and in
// the store, as
//
//	version  1 byte   membersVersion
//	count    uvarint
//	each member:
//	  id           8 bytes, big-endian
//	  name         uvarint length, bytes
//	  peer URLs    uvarint count, then each: uvarint length, bytes
//	  client URLs  likewise
//
// A Membership is its members, then the removed ids (uvarint count, then 8 bytes
// each, big-endian), then, unless they are 1 and 0, the number of shards (uvarint), and
// then, unless it is 0, the term base (uvarint).
const membersVersion = 1

// Decoding errors. As with batches, no client input can cause them.
var (
	errMembersVersion = errors.New("a newer version of copse wrote this membership: start that version again")
	errMembers        = errors.New("membership record is truncated or damaged")
)

// appendMembers appends the encoding of members to dst.
func appendMembers(dst []byte, members []Member) []byte {
	dst = append(dst, membersVersion)
	dst = binary.AppendUvarint(dst, uint64(len(members)))
	for i := range members {
		m := &members[i]
		dst = binary.BigEndian.AppendUint64(dst, m.ID)
		dst = appendBytes(dst, m.Name)
		dst = appendTexts(dst, m.PeerURLs)
		dst = appendTexts(dst, m.ClientURLs)
	}
	return dst
}

func appendTexts(dst []byte, list []string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for _, text := range list {
		dst = appendBytes(dst, text)
	}
	return dst
}

// ReadMembers decodes what appendMembers has written. Empty data means no members.
// The error says that a newer copse wrote the data, or that it is damaged.
func ReadMembers(data []byte) ([]Member, error) {
	if len(data) == 0 {
		return nil, nil
	}
	d := NewDecoder(data)
	members, err := readMembers(&d)
	if err == nil && (d.Failed() || d.Left() > 0) {
		err = errMembers
	}
	return members, err
}

// AppendMembership appends the encoding of ms to dst.
func AppendMembership(dst []byte, ms *Membership) []byte {
	dst = appendMembers(dst, ms.Members)
	dst = binary.AppendUvarint(dst, uint64(len(ms.Removed)))
	for _, id := range ms.Removed {
		dst = binary.BigEndian.AppendUint64(dst, id)
	}
	if ms.Shards > 1 || ms.TermBase > 0 {
		dst = binary.AppendUvarint(dst, uint64(max(1, ms.Shards)))
	}
	if ms.TermBase > 0 {
		dst = binary.AppendUvarint(dst, ms.TermBase)
	}
	return dst
}

// ReadMembership decodes what AppendMembership has written; its errors are those of
// ReadMembers.
func ReadMembership(data []byte) (*Membership, error) {
	d := NewDecoder(data)
	members, err := readMembers(&d)
	if err != nil {
		return nil, err
	}
	ms := &Membership{Members: members, Shards: 1}
	for n := d.count(8); n > 0; n-- {
		ms.Removed = append(ms.Removed, d.BigEndian64())
	}
	if d.Left() > 0 {
		n := d.Uvarint()
		based := d.Left() > 0
		if based {
			ms.TermBase = d.Uvarint()
		}
		if n < 1 || n > MaxSlots || n == 1 && !based || based && ms.TermBase == 0 {
			return nil, errMembers // no encoder writes such a record
		}
		ms.Shards = int(n)
	}
	if d.Failed() || d.Left() > 0 {
		return nil, errMembers
	}
	return ms, nil
}

func readMembers(d *Decoder) ([]Member, error) {
	if version := d.Byte(); version != membersVersion {
		if version < membersVersion { // zero, or missing
			return nil, errMembers
		}
		return nil, fmt.Errorf("%w (version %d)", errMembersVersion, version)
	}
	var members []Member
	for n := d.count(11); n > 0; n-- { // 11: an id and three lengths
		members = append(members, Member{ID: d.BigEndian64(), Name: string(d.Bytes()), PeerURLs: readTexts(d), ClientURLs: readTexts(d)})
	}
	return members, nil
}

func readTexts(d *Decoder) []string {
	var list []string
	for n := d.count(1); n > 0; n-- {
		list = append(list, string(d.Bytes()))
	}
	return list
}
