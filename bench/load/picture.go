package main

func drawAll(dir string, bouts []*bout) error { return nil }
