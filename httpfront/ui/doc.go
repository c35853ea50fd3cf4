// Package ui is the web page at /ui/: its files, which are compiled in, and its way to the
// keys on the operations port.
//
//	browser ──▶ operations port ──▶ Page ──┬──▶ files
//	                                       └──▶ /v2/… ──▶ Visitor ══▶ httpfront.Server
//
// The page asks the origin that it came from, so the operations port has to answer requests
// for keys. [Page.ServeHTTP] refuses what another site sends, and passes the rest over
// connections within the process ([Page.Door]) to the server of the client port: there the
// same code checks the same permissions, and knows by the type of the connection ([Visitor])
// that this one is the page's, which reaches less and, by default, changes nothing.
//
// The page itself is in page/, in plain JavaScript: app.js first. All its knowledge comes from
// /v2, /metrics and /readyz.
//
// Goroutines: none that lasts. Each request that is passed on has those of net/http's
// transport until it is answered; at most requestLimit are.
package ui
