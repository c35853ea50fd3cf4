package main

import (
	"errors"

	"copse/config"
)

// unserved refuses what the settings can say and this copse doesn't do yet:
// each line goes when its part comes.
func unserved(c *config.Config) error {
	var complaints []error
	refuse := func(when bool, text string) {
		if when {
			complaints = append(complaints, errors.New(text))
		}
	}
	refuse(c.Shards > 1, "several shards are not served yet")
	return errors.Join(complaints...)
}
