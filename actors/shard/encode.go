package shard

import "copse/statemachine/tree"

// headRoom is room for the head of a batch of a single submission, and for that of the submission.
const headRoom = 128

// encode encodes a large command while its writer's goroutine still has it: the actor, for
// which all others wait, needn't copy it then.
func (w *Write) encode() {
	if size := w.Command.Size(); size >= largeWrite {
		w.encoded = tree.AppendCommand(make([]byte, headRoom, headRoom+size), w.Command)
	}
}

// appendTo appends the command as it is encoded.
func (w *Write) appendTo(dst []byte) []byte {
	if w.encoded == nil {
		return tree.AppendCommand(dst, w.Command)
	}
	dst = append(dst, w.encoded[headRoom:]...)
	w.encoded = nil // it is as long as the command, and only needed again if the submission is refused
	return dst
}

// answer tells the writer, and lets go of w.
func (w *Write) answer(r tree.Reply) {
	notify := w.notify
	if notify == nil {
		w.reply <- r // whoever receives it gives w back
		return
	}
	if w.Command, w.notify, w.encoded = nil, nil, nil; w.reply != nil {
		writes.Put(w)
	}
	notify(r)
}

// encode returns a batch as it goes into the log.
func encode(head tree.BatchHead, parts []*Submission) []byte {
	if len(parts) == 1 && parts[0].whole != nil {
		s := parts[0]
		front := tree.AppendSubmission(tree.AppendBatchHead(make([]byte, 0, headRoom), head), s.ID, s.Count)
		cmd := s.whole[headRoom-len(front):]
		copy(cmd, front)
		return cmd
	}
	size := 64
	for _, s := range parts {
		size += 64 + len(s.Commands)
	}
	cmd := tree.AppendBatchHead(make([]byte, 0, size), head)
	for _, s := range parts {
		cmd = append(tree.AppendSubmission(cmd, s.ID, s.Count), s.Commands...)
	}
	return cmd
}
