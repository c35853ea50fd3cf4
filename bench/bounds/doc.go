// Package bounds has tests only: what many clients together can make a server hold, in a
// control group with little memory, where the kernel ends a process that takes more.
//
//	go test ./bounds -v -run Crowds -args -memory 512,1024
//
// also says how long a bystander's writes took, and how much memory the server had at most.
//
// They need root and a hierarchy of control groups that can be written, version 1 or 2.
package bounds
