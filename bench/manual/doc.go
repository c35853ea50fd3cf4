// Package manual runs what the manual shows, as it stands: the commands of docs/API.md, whose
// answers must be those of the page and those of httpfront/openapi.yaml, and the
// programs of docs/CLIENTS.md.
//
//	docs/API.md ──▶ sh, curl ──▶ tap ──▶ copse
//	                              └──▶ openapi.yaml
//
// The tap copies the bytes of each connection, so that what curl doesn't print is checked
// as well. Its goroutines, two for a connection, end with the connection.
package manual
