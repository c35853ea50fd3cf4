package actors

import "copse/actors/loop"

// What package main reads of the packages below, so that it has one to speak to.
type Group = loop.Group
