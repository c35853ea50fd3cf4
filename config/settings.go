package config

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// setting is one row of the table behind flags, environment, file, help, completion and
// docs/CONFIG.md.
type setting struct {
	flag  string
	unit  string // the value's name in the help; words separated by | are all choices
	usage string
	// derived describes, for the help, a default that follows from other settings.
	derived string
	field
}

// field parses and prints one field of a Config.
type field struct {
	short string // one letter for the flag, or none
	set   func(c *Config, text string) error
	print func(c *Config) string
	// boolean: the flag needs no value. empty: an empty text is a value too; for others it is,
	// as with etcd, like none.
	boolean, empty bool
}

// bind makes a field from the place of a value, its parser and its printer.
func bind[T any](at func(*Config) *T, parse func(string) (T, error), print func(T) string) field {
	return field{
		set: func(c *Config, text string) error {
			v, err := parse(text)
			if err == nil {
				*at(c) = v
			}
			return err
		},
		print: func(c *Config) string { return print(*at(c)) },
	}
}

func text(at func(*Config) *string) field {
	return bind(at, func(s string) (string, error) { return s, nil }, func(s string) string { return s })
}

// choice is a text with the choices that unit lists.
func choice(unit string, at func(*Config) *string) field {
	return bind(at, func(s string) (string, error) { return parseChoice(s, unit) }, func(s string) string { return s })
}

func boolean(at func(*Config) *bool) field {
	f := bind(at, parseBool, strconv.FormatBool)
	f.boolean = true
	return f
}

func count(at func(*Config) *int) field { return bind(at, parseCount, strconv.Itoa) }

func unsigned(at func(*Config) *uint64) field {
	return bind(at, parseUnsigned, func(n uint64) string { return strconv.FormatUint(n, 10) })
}

func size[T int | int64](at func(*Config) *T) field {
	return bind(at, func(s string) (T, error) {
		n, err := parseSize(s)
		return T(n), err
	}, func(n T) string { return printSize(int64(n)) })
}

func urls(at func(*Config) *[]url.URL) field { return bind(at, parseURLs, printURLs) }

func milliseconds(at func(*Config) *time.Duration) field {
	return bind(at, parseMilliseconds, func(d time.Duration) string {
		return strconv.FormatInt(d.Milliseconds(), 10)
	})
}

func duration(at func(*Config) *time.Duration) field {
	return bind(at, parseDuration, time.Duration.String)
}

// standard is the default in the words of the help and the reference.
func (s *setting) standard(c *Config) string {
	switch value := s.print(c); {
	case s.derived != "":
		return s.derived
	case value == "":
		return "none"
	default:
		return value
	}
}

// words returns all possible values, if they are few.
func (s *setting) words() []string {
	switch {
	case s.boolean:
		return []string{"true", "false"}
	case strings.Contains(s.unit, "|"):
		return strings.Split(s.unit, "|")
	default:
		return nil
	}
}

// settings is the table without its groups.
func settings() []setting {
	var list []setting
	for _, g := range groups() {
		list = append(list, g.settings...)
	}
	return list
}
