package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/completion"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

// optionForm is an option in the output of -h, with what it calls its value.
var optionForm = regexp.MustCompile(`(?m)^ {2,6}(?:-(.), )?--([a-z-]+)(?: ([A-Z]+))?`)

// TestCommandLines: what is completed is what each command's -h lists, and all commands are there.
func TestCommandLines(t *testing.T) {
	t.Parallel()
	p := commandLines()
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(p)), func(n string) bool { return n == "" })
	if !slices.Equal(names, commandNames()) {
		t.Errorf("commands %q, want %q", names, commandNames())
	}
	for name, c := range p {
		if name != "" && name != "help" && !strings.Contains(usage, "docker-dispatch "+name) && !strings.Contains(usage, "|"+name) {
			t.Errorf("-h does not name the command %s", name)
		}
		if name == "help" {
			continue // it has no options
		}
		text, _, code := call("", nil, append(strings.Fields(name), "-h")...)
		if code != 0 {
			text, _, _ = call("", nil, name, "--help")
		}
		listed := map[string]bool{"help": true}
		for _, m := range optionForm.FindAllStringSubmatch(text, -1) {
			short, long, value := m[1], m[2], m[3]
			listed[long] = true
			i := slices.IndexFunc(c.Flags, func(f message.Flag) bool { return f.Name == long })
			if long == "help" {
				continue
			}
			if i < 0 {
				t.Errorf("%s --%s is not completed", name, long)
				continue
			}
			path := ""
			if value == "FILE" || value == "DIR" {
				path = value
			}
			if f := c.Flags[i]; f.Short != short || f.Path != path || f.Bool != (value == "") || (f.Values == nil) != (value != "FORMAT" && value != "TYPE" && value != "POLICY") {
				t.Errorf("%s --%s: -h has %q, completed is %+v", name, long, m[0], f)
			}
		}
		for option, verbs := range c.Only {
			if !listed[option] || slices.ContainsFunc(verbs, func(v string) bool { return !slices.Contains(c.Verbs, v) }) {
				t.Errorf("%s %q --%s: there is no such verb or option", name, verbs, option)
			}
		}
		for _, f := range c.Flags {
			if !listed[f.Name] && name != "run" { // docker's are not listed there
				t.Errorf("%s --%s is not in -h", name, f.Name)
			}
		}
	}
}

// The command lines that are completed in each shell, with the words that it then offers. | is where the cursor stands.
var completed = []struct{ line, words string }{
	{"se|", "send"},
	{"he|", "health help"},
	{"hos|", "hosts"},
	{"hosts |", "release"},
	{"hosts --|", "--amqp --amqp-password-file --format --help --queue --wait --yes"},
	{"hosts release --|", "--amqp --amqp-password-file --help --queue --yes"},
	{"--pol|", "--policy"},
	{"--policy |", "jobs.json queues"},
	{"--policy jo|", "jobs.json"},
	{"--policy=jo|", "jobs.json"},
	{"--secrets |", "queues"},
	{"--format |", "json text"},
	{"--format=t|", "text"},
	{"--declare q|", "quorum"},
	{"-q |", ""},
	{"-- --pol|", ""},
	{"help comp|", "completion"},
	{"pol|", "policy"},
	{"./jo|", "./jobs.json"},
	{"-q jobs --amqp-|", "--amqp-password-file"},
	{"send -q jobs --re|", "--reply"},
	{"send jo|", "jobs.json"},
	{"send --reply |", ""},
	{"dead |", "drop list replay"},
	{"dead list --format j|", "json"},
	{"dead list -q jobs |", ""},
	{"dead list --|", "--amqp --amqp-password-file --dead-letter --format --help --queue"},
	{"dead replay --|", "--all --amqp --amqp-password-file --dead-letter --help --queue"},
	{"dead drop --|", "--all --amqp --amqp-password-file --dead-letter --help --queue --yes"},
	{"dead --|", "--all --amqp --amqp-password-file --dead-letter --format --help --queue --yes"},
	{"help opt|", "options"},
	{"completion |", "bash fish zsh"},
	{"health --p|", "--print-config"},
	{"run --memory-s|", "--memory-swap --memory-swappiness"},
	{"run -it --pull |", "always missing never"},
	{"run --amqp amqp://h:5672 -q jobs --max|", "--max-message"},
	{"run --env-file jo|", "jobs.json"},
	{"run --kernel-m|", ""},
	{"run --name x busybox --|", ""},
}

// decoration is what some shells put around a word: the slash of a folder, and the option that the word belongs to.
var decoration = regexp.MustCompile(`/? (--[a-z]+=)?|^--[a-z]+=`)

// bashWords prints what bash completes: the candidates of the function, or readline's own as compopt asked for it.
const bashWords = `source <("$PROGRAM" completion bash)
compopt() { asked=$2; }
while IFS= read -r line; do
	asked=
	line="$PROGRAM ${line%|}"
	# Words as readline splits them.
	read -r -a COMP_WORDS <<<"$(sed -E 's/([=:]+)/ \1 /g' <<<"$line")"
	[[ $line != *[\ =:] ]] || COMP_WORDS+=('')
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	_docker_dispatch "$PROGRAM" "${COMP_WORDS[COMP_CWORD]}" ''
	if ((!${#COMPREPLY[@]})); then
		case $asked in
		default) mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}") ;;
		dirnames) mapfile -t COMPREPLY < <(compgen -d -- "${COMP_WORDS[COMP_CWORD]}") ;;
		esac
	fi
	echo "${COMPREPLY[*]}"
done`

const fishWords = `$PROGRAM completion fish | source
complete -c docker-dispatch | grep -q __docker_dispatch; or exit 1
while read -l line
	echo (complete -C "docker-dispatch "(string replace '|' '' -- $line) | string replace -r '\t.*' '')
end`

// zshWords prints what the function hands to zsh's own.
const zshWords = `compdef() :
source <($PROGRAM completion zsh)
compadd() { print -rn -- "${(P)2} " }
compset() { [[ $words[CURRENT] != ${~2}* ]] || words[CURRENT]=${words[CURRENT]#${~2}} }
_path_files() {
	local -a found=($words[CURRENT]*(N))
	[[ $1 != -/ ]] || found=($words[CURRENT]*(N/))
	print -rn -- $found
}
while IFS= read -r line; do
	words=(docker-dispatch "${(@s: :)${line%|}}")
	CURRENT=$#words
	_docker_dispatch
	print
done`

// TestCompletion: the shells complete what they should.
func TestCompletion(t *testing.T) {
	t.Parallel()
	dir, bin := t.TempDir(), filepath.Join(t.TempDir(), "docker-dispatch")
	p := program(t)
	for path, text := range map[string]string{
		filepath.Join(dir, "jobs.json"): "{}", filepath.Join(dir, "queues", "x"): "", bin: "#!/bin/sh\nexec '" + p.Path + "' \"$@\"\n",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var lines strings.Builder
	for _, c := range completed {
		lines.WriteString(c.line + "\n")
	}
	for _, shell := range completion.Shells {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			at, err := exec.LookPath(shell)
			if err != nil && os.Getenv("DISPATCH_TEST_REQUIRE_SERVERS") == "" {
				t.Skip(err)
			} else if err != nil {
				t.Fatal(err)
			}
			script := map[string]string{"bash": bashWords, "fish": fishWords, "zsh": zshWords}[shell]
			c := exec.Command(at, "-c", script)
			c.Dir = dir
			c.Env = append(p.Env, "PROGRAM="+bin, "PATH="+filepath.Dir(bin)+":"+os.Getenv("PATH"), "TERM=dumb")
			c.Stdin = strings.NewReader(lines.String())
			var errs strings.Builder
			c.Stderr = &errs
			out, err := c.Output()
			if err != nil || errs.Len() > 0 {
				t.Fatalf("%v\n%s%s", err, out, errs.String())
			}
			got := strings.Split(string(out), "\n")
			for i, want := range completed {
				if i >= len(got)-1 {
					t.Fatalf("no answer to %s", want.line)
				}
				words := strings.Fields(decoration.ReplaceAllString(got[i]+" ", " "))
				slices.Sort(words)
				if strings.Join(words, " ") != want.words {
					t.Errorf("%s: %q, want %q", want.line, words, want.words)
				}
			}
		})
	}
}
