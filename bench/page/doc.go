// Package page tests the web page at /ui/ in a real browser, Debian's chromium, against
// copse as it is built, and takes the pictures of the README (../pictures).
//
// A test ends with a failure if the page has written an error to the console or has sent a
// request to anything but its own member.
package page
