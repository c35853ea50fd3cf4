package config

import (
	"fmt"
	"slices"
	"strings"
)

// Completion is a script by which a shell completes commands, flags, and values of which
// there are few.
func Completion(shell string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s completion for copse, as copse completion %s prints it.\n", shell, shell)
	switch shell {
	case "bash":
		completeBash(&b)
	case "zsh":
		// zsh looks for this in the first line.
		return "#compdef copse\n" + completeZsh(&b), nil
	case "fish":
		completeFish(&b)
	default:
		return "", fmt.Errorf("%q is not one of the shells %s", shell, strings.Join(shells(), ", "))
	}
	return b.String(), nil
}

// subwords are the second words of two-word commands, by the first.
func subwords() map[string][]Command {
	list := map[string][]Command{}
	for _, c := range Commands() {
		if first, second, two := strings.Cut(c.Name, " "); two {
			c.Name = second
			list[first] = append(list[first], c)
		}
	}
	return list
}

// groupSummary is about all two-word commands with that first word, in one line.
func groupSummary(first string) string {
	return map[string]string{"auth": "Users and permissions.", "member": "Members of the cluster.", "user": "Users.", "role": "Roles, and what they may do.", "config": "Look at the settings.", "mirror": "Look at a cluster that follows an etcd, or end that.", "raftlog": "Look at the raft log, or mend it."}[first]
}

// step lists the words that may follow those typed so far.
type step struct {
	typed string
	next  []string
}

func steps() []step {
	list := []step{{"", firstWords()}}
	for _, first := range firstWords() {
		var second []string
		for _, c := range subwords()[first] {
			second = append(second, c.Name)
		}
		if second != nil {
			list = append(list, step{first, second}, step{"help " + first, second})
		}
	}
	for _, c := range Commands() {
		if c.choices != nil {
			list = append(list, step{c.Name, c.choices})
		}
	}
	return list
}

// keyCommands are those whose operand is a key.
func keyCommands() (list []string) {
	for _, c := range Commands() {
		if c.keys {
			list = append(list, c.Name)
		}
	}
	return list
}

// flagWords lists the flags of the rows as typed.
func flagWords(rows []setting) string {
	var list []string
	for _, s := range rows {
		list = append(list, "--"+s.flag)
	}
	return strings.Join(list, " ")
}

// every lists the rows of all commands; of those with the same name, the first.
func every() []setting {
	rows := append(settings(), commonRows()...)
	for _, c := range Commands() {
		rows = append(rows, c.options...)
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(rows, func(s setting) bool {
		again := seen[s.flag]
		seen[s.flag] = true
		return again
	})
}

// isPath reports whether files complete the value.
func (s *setting) isPath() bool { return s.unit == "path" }

// brief is the first sentence of the usage.
func (s *setting) brief() string {
	first, _, _ := strings.Cut(s.usage, ". ")
	return strings.TrimSuffix(first, ".")
}

func completeBash(b *strings.Builder) {
	b.WriteString(`_copse() {
    COMPREPLY=()
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    local flag='' joined='' command='' words='' i
    # bash takes --flag=value apart at the =.
    if [[ $cur == = ]]; then
        flag=$prev joined=yes cur=''
    elif [[ $prev == = ]]; then
        flag=${COMP_WORDS[COMP_CWORD-2]} joined=yes
    elif [[ $prev == -* ]]; then
        flag=$prev
    fi
    flag=${flag#-}
    case ${flag#-} in
`)
	var paths, others []string
	for _, s := range every() {
		if s.short != "" {
			s.flag += "|" + s.short
		}
		switch {
		case s.boolean:
			// Its value must be joined by =; the next word isn't its value.
			fmt.Fprintf(b, "    %s) [[ $joined ]] && { mapfile -t COMPREPLY < <(compgen -W 'true false' -- \"$cur\"); return; } ;;\n", s.flag)
		case s.words() != nil:
			fmt.Fprintf(b, "    %s) mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\"); return ;;\n", s.flag, strings.Join(s.words(), " "))
		case s.isPath():
			paths = append(paths, s.flag)
		default:
			others = append(others, s.flag)
		}
	}
	fmt.Fprintf(b, "    %s)\n        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n        compopt -o filenames 2>/dev/null\n        return ;;\n", strings.Join(paths, "|"))
	fmt.Fprintf(b, "    %s) return ;;\n    esac\n", strings.Join(others, "|"))
	b.WriteString(`    for ((i = 1; i < COMP_CWORD && i < 3; i++)); do
        [[ ${COMP_WORDS[i]} == -* ]] && break
        command+=${command:+ }${COMP_WORDS[i]}
    done
`)
	completeBashKeys(b)
	b.WriteString(`    if [[ $cur == -* ]]; then
`)
	fmt.Fprintf(b, "        local settings='%s'\n        local common='%s'\n        case $command in\n        '') words=\"$settings --version --help\" ;;\n", flagWords(settings()), flagWords(commonRows()))
	for _, c := range Commands() {
		words := strings.TrimSpace(flagWords(c.options)+" --help") + map[bool]string{true: " $settings"}[c.Settings] + map[bool]string{true: " $common"}[c.Client]
		fmt.Fprintf(b, "        '%s'|'%s '*) words=\"%s\" ;;\n", c.Name, c.Name, words)
	}
	b.WriteString("        esac\n    elif [[ $command || $COMP_CWORD == 1 ]]; then\n        case $command in\n")
	for _, s := range steps() {
		fmt.Fprintf(b, "        '%s') words='%s' ;;\n", s.typed, strings.Join(s.next, " "))
	}
	b.WriteString(`        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _copse copse
`)
}

// completeBashKeys completes keys of the tree, level by level. A key may have any characters
// in its name, so it never goes where bash expands words, as it does in compgen -W.
func completeBashKeys(b *strings.Builder) {
	fmt.Fprintf(b, "    if [[ ' %s ' == *\" ${COMP_WORDS[1]} \"* && $COMP_CWORD -gt 1 && $cur != -* ]]; then\n", strings.Join(keyCommands(), " "))
	b.WriteString(`        # bash takes words apart at : and =, and replaces what follows the last of them.
        local key typed word=$cur i=$COMP_CWORD
        while ((i > 2)) && [[ ${COMP_WORDS[i]} == [:=]* || ${COMP_WORDS[i-1]} == [:=]* ]] &&
            [[ ${COMP_LINE:0:COMP_POINT} == *"${COMP_WORDS[i-1]}$word" ]]; do
            word=${COMP_WORDS[--i]}$word
        done
        typed=${word#[\'\"]}
        typed=${typed//\\/}
        while IFS= read -r key; do
            [[ $key == "$typed"* ]] || continue
            if [[ $word == [\'\"]* ]]; then
                [[ $key == *[\'\"\$\` + "`" + `\\!]* ]] && continue
            else
                printf -v key %q "$key"
                key=${key#"${word%"${word##*[:=]}"}"}
            fi
            COMPREPLY+=("$key")
        done < <(copse ls -p --timeout=1s --total-timeout=1s -- "${typed%"${typed##*/}"}" 2>/dev/null)
        compopt -o nospace 2>/dev/null
        return
    fi
`)
}
