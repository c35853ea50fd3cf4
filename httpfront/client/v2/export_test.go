package v2

// ReadEvent is readEvent.
var ReadEvent = readEvent
