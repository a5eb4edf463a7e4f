package settings_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/usererror"
)

func TestRefusedLines(t *testing.T) {
	for line, want := range map[string]string{
		"--paralelism 4":       "there is no option --paralelism\nDid you mean --parallelism?",
		"--parallelism 0":      "--parallelism must be from 1 to 10,000, not 0",
		"--parallelism four":   `--parallelism takes a whole number, not "four"`,
		"--parallelism":        "--parallelism needs a value: --parallelism N",
		"--completions 0":      "--completions must be from 1 to 100,000, not 0",
		"--completions -3":     "--completions must be from 1 to 100,000, not -3",
		"--completions 100001": "--completions must be from 1 to 100,000, not 100001",
		"--completions 1.5":    `--completions takes a whole number, not "1.5"`,
		"--hyper-parameters f()": `--hyper-parameters takes the name of something defined in ` +
			`the notebook, not "f()"`,
		"--objective best:accuracy": `--objective takes [max:|min:]METRIC, not "best:accuracy"`,
		"--timeout soon":            `--timeout takes a time such as 90s, 5m, 1.5h or 2d, not "soon"`,
		"--cwd /tmp":                `--cwd takes session or trial, not "/tmp"`,
		"parallelism 4":             "\"parallelism\" is not an option\nDid you mean --parallelism?",
		"--name 'open":              "a quote (') is not closed",
		"--xyzzy":                   "there is no option --xyzzy\nmetaml settings --kind train lists them all.",
	} {
		t.Run(line, func(t *testing.T) {
			_, err := settings.ParseLine(run.Train, line)
			if err == nil || err.Error() != want {
				t.Errorf("%%%%train %s\n got %v\nwant %s", line, err, want)
			}
		})
	}
}

func TestWhoMayAskIsRefusedWhereItIsNoNameOrOrigin(t *testing.T) {
	for line, right := range map[string]bool{
		"--allow-host hub.example": true, "--allow-host a,b --allow-host 10.0.0.7": true, "--allow-host [::1]": true,
		"--allow-host ::1": true,
		"--allow-host *":   true, "--allow-host gpu_box.": true,
		"--allow-host http://hub.example": false, "--allow-host hub.example:80": false,
		"--allow-host hub.example/x": false, "--allow-host ''": false,
		"--allow-host me@hub.example": false, "--allow-host *.example": false, "--allow-host bücher.example": false,
		"--allow-host a,,b":          false,
		"--cors https://app.example": true, "--cors http://localhost:3000,https://app.example": true, "--cors *": true,
		"--cors http://[::1]:3000":                   true,
		"--cors chrome-extension://abcdefghijklmnop": true, "--cors http://127.0.0.1": true,
		"--cors app.example": false, "--cors https://app.example/": false, "--cors https://app.example/x": false,
		"--cors null": false, "--cors https://": false,
		"--cors https://app.example:x": false, "--cors https://app.example:0": false, "--cors https://*.example": false,
		"--cors https://*": false, "--cors https://*:80": false,
		"--cors http://::1": false, "--cors https://me@app.example": false, "--cors https://app.example?x": false,
	} {
		t.Run(line, func(t *testing.T) {
			if _, err := settings.ParseLine(run.Serve, line); (err == nil) != right {
				t.Errorf("%%%%serve %s: %v", line, err)
			} else if user := (*usererror.Error)(nil); err != nil && !errors.As(err, &user) {
				t.Errorf("%%%%serve %s: %v is not a user's error", line, err)
			}
		})
	}
	file := filepath.Join(t.TempDir(), "metaml.toml")
	write(t, file, "cors = ['https://app.example', 'http://localhost:3000']\nallow_host = 'hub.example'\n")
	r, err := settings.Resolve(run.Serve, settings.Sources{File: settings.File{Path: file}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(append(r.List("cors"), r.List("allow_host")...),
		" "), "https://app.example http://localhost:3000 hub.example"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestLineIsReadAsAShellWould(t *testing.T) {
	given, err := settings.ParseLine(run.Train,
		`--parallelism=4 --name "my sweep" --with a --with b,c --no-tensorboard --fresh_process # all of it`)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, g := range given {
		got = append(got, g.Def.Name+"="+g.Value)
	}
	if want := "parallelism=4 name=my sweep with=a,b,c tensorboard=false fresh_process=true"; strings.Join(got,
		" ") != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestPrecedenceAndOrigins(t *testing.T) {
	file := filepath.Join(t.TempDir(), "metaml.toml")
	write(t, file, "# ours\nparallelism = 2\nretries = 5\nseed = 7\n\n[package]\nrepository = \"example/team\"\n")
	line, err := settings.ParseLine(run.Train, "--parallelism 8")
	if err != nil {
		t.Fatal(err)
	}
	r, err := settings.Resolve(run.Train, settings.Sources{
		Line: line, Typed: settings.FromCell, File: settings.File{Path: file},
		Environ:   []string{"METAML_PARALLELISM=4", "METAML_RETRIES=3", "METAML_PORT=tcp://10.0.0.1:80"},
		Decorator: map[string]any{"retries": "2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]settings.Value{
		"parallelism": {Text: "8", Origin: "cell"},
		"retries":     {Text: "2", Origin: "decorator"},
		"seed":        {Text: "7", Origin: file + ":4"},
		"target":      {Text: "local", Origin: "default"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := r.Values[name]; got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		})
	}
	if got, want := strings.Join(r.Notes, ""), "unused on target local: repository"; got != want {
		t.Errorf("unused: %q, want %q", got, want)
	}
}

func TestRefusedFiles(t *testing.T) {
	for text, want := range map[string]string{
		"\nparalelism = 2":       ":2: there is no setting \"paralelism\"\nDid you mean \"parallelism\"?",
		"parallelism = \"2\"":    `:1: parallelism takes an integer, not the text "2"`,
		"a = 1\n":                `:1: there is no setting "a"`,
		"# x\ntensorboard = 3\n": `:2: tensorboard takes a boolean, not 3`,
		"parallelism = 0":        `:1: parallelism must be from 1 to 10,000, not 0`,
		"x = \n":                 `:1: this is not TOML:`,
	} {
		t.Run(text, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "metaml.toml")
			write(t, file, text)
			_, err := settings.Resolve(run.Train, settings.Sources{File: settings.File{Path: file}})
			var user *usererror.Error
			if !errors.As(err, &user) || !strings.HasPrefix(user.Error(), file+want) {
				t.Errorf("%q\n got %v\nwant %s%s", text, err, file, want)
			}
		})
	}
}

func TestWhatATargetCannotHonourIsRefusedWhenTyped(t *testing.T) {
	line, err := settings.ParseLine(run.Train, "--memory 4Gi")
	if err != nil {
		t.Fatal(err)
	}
	_, err = settings.Resolve(run.Train, settings.Sources{Line: line, Typed: settings.FromCell})
	if want := "--memory means nothing on target local\nLeave it out, or name a target that honours it: " +
		"kubernetes."; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestEnvironmentIsChecked(t *testing.T) {
	_, err := settings.Resolve(run.Train, settings.Sources{Environ: []string{"METAML_RETRIES=often"}})
	if want := `METAML_RETRIES in the environment takes a whole number, not "often"`; err == nil ||
		err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func FuzzParseLine(f *testing.F) {
	for _, line := range []string{"", "--parallelism 4", `--name "a b" --with x,y`, "--=", "--no-", `\`, "--help"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		given, err := settings.ParseLine(run.Train, line)
		if err == nil {
			if _, err := settings.Resolve(run.Train,
				settings.Sources{Line: given, Typed: settings.FromCell}); err != nil {
				if _, ok := errors.AsType[*usererror.Error](err); !ok {
					t.Errorf("%q: %v is not a user's error", line, err)
				}
			}
		}
	})
}
