package tree

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Members are written, in the Value of a command that changes the membership
// and in the store, as
//
//	version  1 byte   membersVersion
//	count    uvarint
//	members, each:
//	  id           8 bytes, big-endian
//	  name         uvarint length, bytes
//	  peer URLs    uvarint count, then each: uvarint length, bytes
//	  client URLs  likewise
//
// A Membership is its members, with the removed ids behind them: uvarint
// count, then each as 8 bytes; and then, if there are several, the number of
// shards: uvarint.
const membersVersion = 1

// Errors of decoding; like those of a batch, never a client's doing.
var (
	errMembersVersion = errors.New("the membership is in a newer format than this copse knows: start the newer copse again")
	errMembers        = errors.New("membership record is cut short or damaged")
)

// AppendMembers appends members in their encoded form to dst.
func AppendMembers(dst []byte, members []Member) []byte {
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

// ReadMembers reads what AppendMembers has written; nothing is no members.
func ReadMembers(data []byte) ([]Member, error) {
	if len(data) == 0 {
		return nil, nil
	}
	d := Decoder{data: data}
	members, err := d.members()
	if err == nil && (d.failed || len(d.data) > 0) {
		err = errMembers
	}
	return members, err
}

// AppendMembership appends ms in its encoded form to dst.
func AppendMembership(dst []byte, ms *Membership) []byte {
	dst = AppendMembers(dst, ms.Members)
	dst = binary.AppendUvarint(dst, uint64(len(ms.Removed)))
	for _, id := range ms.Removed {
		dst = binary.BigEndian.AppendUint64(dst, id)
	}
	if ms.Shards > 1 {
		dst = binary.AppendUvarint(dst, uint64(ms.Shards))
	}
	return dst
}

// ReadMembership reads what AppendMembership has written.
func ReadMembership(data []byte) (*Membership, error) {
	d := Decoder{data: data}
	members, err := d.members()
	if err != nil {
		return nil, err
	}
	ms := &Membership{Members: members, Shards: 1}
	for n := d.count(8); n > 0; n-- {
		ms.Removed = append(ms.Removed, d.uint64())
	}
	if !d.failed && len(d.data) > 0 {
		n := d.Uvarint()
		if n < 2 || n > MaxSlots {
			return nil, errMembers
		}
		ms.Shards = int(n)
	}
	if d.failed || len(d.data) > 0 {
		return nil, errMembers
	}
	return ms, nil
}

func (d *Decoder) members() ([]Member, error) {
	if version := d.Byte(); version != membersVersion {
		if version < membersVersion { // none was there, or zero
			return nil, errMembers
		}
		return nil, fmt.Errorf("%w (version %d)", errMembersVersion, version)
	}
	var members []Member
	for n := d.count(11); n > 0; n-- { // 11: an id, and three lengths
		members = append(members, Member{ID: d.uint64(), Name: string(d.Bytes()), PeerURLs: d.texts(), ClientURLs: d.texts()})
	}
	return members, nil
}

func (d *Decoder) texts() []string {
	var list []string
	for n := d.count(1); n > 0; n-- {
		list = append(list, string(d.Bytes()))
	}
	return list
}

// count reads how many things of at least size bytes follow; there can't be
// more of them than there are bytes.
func (d *Decoder) count(size int) int {
	n := d.Uvarint()
	if n > uint64(len(d.data)/size) {
		d.Fail()
		return 0
	}
	return int(n)
}

func (d *Decoder) uint64() uint64 {
	if len(d.data) < 8 {
		d.Fail()
		return 0
	}
	v := binary.BigEndian.Uint64(d.data)
	d.data = d.data[8:]
	return v
}
