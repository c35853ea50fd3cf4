package config

import (
	"fmt"
	"strings"
)

func completeZsh(b *strings.Builder) string {
	b.WriteString("_copse_keys() {\n  local -a found\n  found=(${(f)\"$(copse ls -p --timeout=1s --total-timeout=1s -- ${(Q)${PREFIX%\"${PREFIX##*/}\"}} 2>/dev/null)\"})\n  compadd -S '' -- $found\n}\n")
	b.WriteString("_copse() {\n  local -a settings common words_here\n  settings=(\n")
	for _, s := range settings() {
		fmt.Fprintf(b, "    %s\n", zshFlag(&s))
	}
	b.WriteString("  )\n  common=(\n")
	for _, s := range commonRows() {
		fmt.Fprintf(b, "    %s\n", zshFlag(&s))
	}
	b.WriteString("  )\n  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then\n    words_here=(")
	seen := map[string]bool{}
	for _, c := range Commands() {
		first, _, two := strings.Cut(c.Name, " ")
		if two {
			c.Summary = groupSummary(first)
		}
		if !seen[first] {
			seen[first] = true
			fmt.Fprintf(b, "\n      %s", zshQuote(first+":"+c.Summary))
		}
	}
	b.WriteString("\n    )\n    _describe command words_here\n    return\n  fi\n  case $words[2] in\n")
	for _, first := range firstWords() {
		second := subwords()[first]
		if second == nil {
			continue
		}
		fmt.Fprintf(b, "  %s)\n    if (( CURRENT == 3 )); then\n      words_here=(", first)
		for _, c := range second {
			fmt.Fprintf(b, "\n        %s", zshQuote(c.Name+":"+c.Summary))
		}
		b.WriteString("\n      )\n      _describe command words_here\n      return\n    fi\n    case $words[3] in\n")
		for _, c := range second {
			fmt.Fprintf(b, "    %s) shift 2 words; (( CURRENT -= 2 )); %s ;;\n", c.Name, zshArguments(&c))
		}
		b.WriteString("    esac ;;\n")
	}
	for _, c := range Commands() {
		if !strings.Contains(c.Name, " ") {
			fmt.Fprintf(b, "  %s) shift words; (( CURRENT-- )); %s ;;\n", c.Name, zshArguments(&c))
		}
	}
	b.WriteString("  *) _arguments '--version[Print the version]' '--help[Print the help]' $settings ;;\n  esac\n}\n")
	// In a file of $fpath the script is the function's body; when sourced, it must register
	// itself.
	b.WriteString("if [[ $funcstack[1] == _copse ]]; then\n  _copse \"$@\"\nelif (( $+functions[compdef] )); then\n  compdef _copse copse\nfi\n")
	return b.String()
}

// zshArguments completes a command's flags and operands.
func zshArguments(c *Command) string {
	parts := []string{"_arguments", "'--help[Print the help]'"}
	for _, s := range c.options {
		parts = append(parts, zshFlag(&s))
	}
	if c.choices != nil {
		parts = append(parts, "'1:word:("+strings.Join(c.choices, " ")+")'")
	}
	if c.Client {
		parts = append(parts, "$common")
	}
	if c.keys {
		parts = append(parts, "'1:key:_copse_keys'")
	}
	if c.Settings {
		parts = append(parts, "$settings")
	}
	return strings.Join(parts, " ")
}

func zshFlag(s *setting) string {
	description := strings.NewReplacer("[", `\[`, "]", `\]`).Replace(s.brief())
	long, value := "=", ":"+s.unit+":"
	switch {
	case s.boolean:
		long, value = "=-", "::value:(true false)"
	case s.words() != nil:
		value = ":value:(" + strings.Join(s.words(), " ") + ")"
	case s.isPath():
		value = ":path:_files"
	}
	flag := zshQuote("--" + s.flag + long + "[" + description + "]" + value)
	switch {
	case s.short == "":
		return flag
	case s.boolean: // whose value must be joined
		value = ""
	}
	return flag + " " + zshQuote("-"+s.short+"["+description+"]"+value)
}

func zshQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
