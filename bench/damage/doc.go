// Package damage starts copse on data directories with damaged files.
//
// A sample is the directory of a server that has been stopped or killed, together with
// all that it had acknowledged by then: every node and every event that waitIndex reaches.
// Each trial copies it, harms one of its files (bits flipped, the tail cut, emptied, or
// removed) and starts the program on the copy. It must serve exactly what was
// acknowledged, or end with exit code 5 and say why in one line. There is no third.
//
//	sample --copy--> Plan.Do --> Try --> Verdict
//
// Trials follow from a seed and a number, and a failed one leaves its directory. Each
// runs on the goroutine of its caller, and ends its process before it returns.
package damage
