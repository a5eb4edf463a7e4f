package settings_test

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/internal/usererror"
)

// onCluster resolves a line for a cluster, and the rest of the sources as they are.
func onCluster(t *testing.T, line string, from settings.Sources) (*settings.Resolved, error) {
	t.Helper()
	given, err := settings.ParseLine(run.Train, "--target kubernetes "+line)
	if err != nil {
		return nil, err
	}
	from.Line, from.Typed = given, settings.FromCell
	return settings.Resolve(run.Train, from)
}

func TestClusterSettingsAreChecked(t *testing.T) {
	for line, want := range map[string]string{
		"--cpu 2": "", "--cpu 0.5": "", "--cpu 500m": "", "--cpu 1e1": "",
		"--cpu 0":     `--cpu must be above 0 and at most 1,000,000 cores, not "0"`,
		"--cpu 0.1m":  `--cpu counts thousandths of a core (1m) at the finest, not "0.1m"`,
		"--cpu two":   `--cpu takes a number of cores, such as 2, 0.5 or 500m, not "two"`,
		"--cpu -1":    `--cpu takes a number of cores, such as 2, 0.5 or 500m, not "-1"`,
		"--cpu 1e99":  `--cpu must be above 0 and at most 1,000,000 cores, not "1e99"`,
		"--memory 4G": "", "--memory 1.5Gi": "", "--memory 4294967296": "",
		"--memory 4GB":  `--memory takes an amount of memory, such as 4Gi or 500Mi, not "4GB"`,
		"--memory 500m": `--memory takes an amount of memory, such as 4Gi or 500Mi, and 500m is 0.5 bytes`,
		"--memory 4":    `--memory takes an amount of memory, such as 4Gi or 500Mi, and 4 is 4 bytes`,
		"--memory 2Ei":  `--memory must be at most 1Pi, not "2Ei"`,
		"--gpu 2":       "", "--gpu 0": "",
		"--gpu -1":               `--gpu must be from 0 to 1,024, not -1`,
		"--gpu-type amd.com/gpu": "",
		"--gpu-type a100":        `--gpu-type takes the resource that counts GPUs, such as nvidia.com/gpu, not "a100"`,
		"--namespace team-a":     "",
		"--namespace team.a": `--namespace takes the name of a namespace, in small letters, digits and dashes, ` +
			`not "team.a"`,
		"--context arn:aws:eks:x/y":     "",
		"--service-account trainer.v1":  "",
		"--image-pull-secret a,b":       "",
		"--image-pull-secret a --queue": "--queue needs a value: --queue NAME",
		"--queue Team": `--queue takes the name of an object: small letters, digits, dashes and dots, ` +
			`not "Team"`,
		"--image python": "", "--image localhost:5000/python:3.11": "", "--image [::1]:5000/a": "",
		"--image box:5000/a": "", "--image registry.example/a/b_c@sha256:" + strings.Repeat("0", 64): "",
		"--image https://registry.example/a": `--image takes the name of an image, such as ` +
			`registry.example/team/image:tag, not "https://registry.example/a"`,
		"--image Team/app": `--image takes the name of an image, such as registry.example/team/image:tag, not ` +
			`"Team/app"`,
		"--image a:b:c": `--image takes the name of an image, such as registry.example/team/image:tag, not "a:b:c"`,
		"--env A=1,2 --env B --env 'C=a b=c' --env D=": "",
		"--env 1A=secret":           `--env takes NAME or NAME=VALUE with the name of a variable, not "1A"`,
		"--env A=1 --env A=2":       "--env has A twice",
		"--env METAML_SEED=3":       `--env cannot have METAML_SEED, which a pod gets from MetaML`,
		"--secret A --secret B=s/k": "",
		"--secret A=hunter2": `--secret takes A=SECRET/KEY, a Secret of the namespace and one of its keys, and ` +
			`something else stands behind A=`,
		"--secret A=S/k": `--secret takes A=SECRET/KEY, a Secret of the namespace and one of its keys, and ` +
			`something else stands behind A=`,
		"--node-selector kubernetes.io/arch=arm64 --node-selector fast=": "",
		"--node-selector arch":    `--node-selector takes KEY=VALUE, such as kubernetes.io/arch=arm64, not "arch"`,
		"--node-selector a/b/c=d": `--node-selector takes KEY=VALUE, such as kubernetes.io/arch=arm64, not "a/b/c=d"`,
		"--toleration gpu --toleration a.b/gpu=yes:NoSchedule --toleration gpu:NoExecute": "",
		"--toleration gpu:Never": `--toleration takes the effect NoSchedule or PreferNoSchedule or NoExecute, not ` +
			`"Never"`,
		"--toleration :NoSchedule": `--toleration takes KEY[=VALUE][:EFFECT], such as gpu=yes:NoSchedule, not ` +
			`":NoSchedule"`,
		"--mount pvc:data:/data --mount pvc:data/a/b:/more/": "",
		"--output pvc:runs/mine":                             "",
		"--output none":                                      "",
		"--output registry":                                  "",
		"--output disk": `--output takes pvc:NAME[/SUB], such as pvc:runs, not "disk"; ` +
			`or registry, or none`,
		"--record pvc:runs":      "",
		"--record pvc:runs/mine": "",
		"--record runs":          `--record takes pvc:NAME[/SUB], such as pvc:runs, not "runs"; or registry`,
		"--record pvc:runs:/data": `--record takes pvc:NAME[/SUB], such as pvc:runs, ` +
			`not "pvc:runs:/data"; or registry`,
		"--record pvc:runs/../others": `--record takes a folder of the volume without . and .., such as ` +
			`pvc:runs/mine, not "pvc:runs/../others"; or registry`,
		"--record registry":          "",
		"--record none":              `--record takes pvc:NAME[/SUB], such as pvc:runs, not "none"; or registry`,
		"--mount data:/data":         `--mount takes pvc:NAME[/SUB]:PATH, such as pvc:data:/data, not "data:/data"`,
		"--mount pvc:data":           `--mount takes pvc:NAME[/SUB]:PATH, such as pvc:data:/data, not "pvc:data"`,
		"--mount pvc:data:data":      `--mount takes an absolute folder for the volume, such as /data, not "data"`,
		"--mount pvc:data:/":         `--mount takes an absolute folder for the volume, such as /data, not "/"`,
		"--mount pvc:data:/a/../etc": `--mount takes an absolute folder for the volume, such as /data, not "/a/../etc"`,
		"--mount pvc:data/../x:/data": `--mount takes a folder of the volume without . and .., such as ` +
			`pvc:data/2024:/data, not "pvc:data/../x:/data"`,
		"--mount pvc:a:/data --mount pvc:b:/data/": "--mount has /data twice",
		"--include data/a.csv":                     "",
		"--include ../a.csv": `--include takes a path below the working directory, such as data/train.csv, not ` +
			`"../a.csv"`,
		"--include /etc/passwd": `--include takes a path below the working directory, such as data/train.csv, not ` +
			`"/etc/passwd"`,
		"--image-python /opt/venv/bin/python": "",
		"--image-python python3": `--image-python takes an absolute path in the image, such as ` +
			`/opt/venv/bin/python, not "python3"`,
		"--strict": "",
		"--env A --secret A=s/k": "A is both in env (cell) and in secret (cell)\n" +
			"Leave it out of one of them.",
		"--tensorboard": "",
		"--cwd trial": "--cwd means nothing on target kubernetes\nLeave it out, or name a target that honours it: " +
			"local.",
		"--repository example/team": "",
		"--repository a.example:5000/team/env --image-name x --base python:3.11": "",
		"--repository example/team:1": "--repository takes the name of a repository, such as " +
			`registry.example/team/environments, not "example/team:1"`,
		"--builder docker:// --apt libyaml-dev,g++ --apt zlib1g-dev:arm64=1:1.2": "",
		"--apt 'a; reboot'": `--apt takes the name of a package, such as libyaml-dev, not "a; reboot"`,
		"--apt=--force":     `--apt takes the name of a package, such as libyaml-dev, not "--force"`,
		"--post-install 'python -c \"print(1)\"' --post-install ldconfig": "",
		"--post-install 'a \"b'": `--post-install takes a command, and in "a \"b" a quote (") is not closed`,
		"--platform linux/arm64 --base-mirror registry.example:5000/hub --compression zstd": "",
		"--platform linux/s390x": `--platform takes linux/amd64 or linux/arm64, not "linux/s390x"`,
		"--base-mirror https://hub": "--base-mirror takes HOST/PATH, such as registry.example/docker-hub, not " +
			`"https://hub"`,
		"--index https://me:hunter2@a.example/simple --index file:///wheels": "",
		"--index ftp://me:hunter2@a.example": "--index takes addresses such as https://HOST/simple, not " +
			`"ftp://a.example"`,
		"--index https://me:hunter2@a.example --index https://me:hunter2@a.example": "--index has " +
			"https://a.example twice",
		"--no-publish":  "",
		"--load podman": `--load takes kind or k3d or minikube or docker or nerdctl or ctr, not "podman"`,
		"--distributed-settings x": "--distributed-settings means nothing on target kubernetes\nLeave it out: its " +
			"name is kept for a later version.",
	} {
		t.Run(line, func(t *testing.T) {
			got := ""
			if _, err := onCluster(t, line, settings.Sources{}); err != nil {
				got = err.Error()
			}
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestWhatOneTargetHonoursIsListedOnTheOther(t *testing.T) {
	file := filepath.Join(t.TempDir(), "metaml.toml")
	write(t, file, "image = \"a\"\nmemory = \"4Gi\"\ncwd = \"trial\"\nhost = \"0.0.0.0\"\n")
	for target, unused := range map[string][]string{"local": {"image", "memory"}, "kubernetes": {"cwd"}} {
		t.Run(target, func(t *testing.T) {
			r, err := settings.Resolve(run.Train, settings.Sources{
				File: settings.File{Path: file}, Decorator: map[string]any{"target": target},
			})
			if err != nil {
				t.Fatal(err)
			}
			want := "unused on target " + target + ": " + strings.Join(unused, ", ")
			if got := strings.Join(r.Notes, "\n"); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			for _, s := range r.All() {
				if slices.Contains(unused, s.Name) {
					t.Errorf("%s is recorded, which is unused", s.Name)
				}
			}
		})
	}
}

// TestEachPlaceSaysTheSame gives the same settings in the four places.
func TestEachPlaceSaysTheSame(t *testing.T) {
	toml := func(text string) settings.Sources {
		file := filepath.Join(t.TempDir(), "metaml.toml")
		write(t, file, text)
		return settings.Sources{File: settings.File{Path: file}, Environ: []string{"METAML_TARGET=kubernetes"}}
	}
	line, err := settings.ParseLine(run.Train, `--target kubernetes --env A=1,2 --env B --mount pvc:d:/d --cpu 2 `+
		`--memory 4Gi --node-selector kubernetes.io/arch=amd64 --image-pull-secret x --image-pull-secret y`)
	if err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]settings.Sources{
		"cell": {Line: line, Typed: settings.FromCell},
		"decorator": {Decorator: map[string]any{
			"target": "kubernetes", "env": map[string]any{"A": "1,2", "B": nil}, "mount": []any{"pvc:d:/d"}, "cpu": "2",
			"memory": "4Gi", "node_selector": map[string]any{"kubernetes.io/arch": "amd64"},
			"image_pull_secret": []any{"x", "y"},
		}},
		"environment": {Environ: []string{
			"METAML_TARGET=kubernetes", "METAML_ENV=A=1,2\nB\n", "METAML_MOUNT=pvc:d:/d", "METAML_CPU=2",
			"METAML_MEMORY=4Gi", "METAML_NODE_SELECTOR=kubernetes.io/arch=amd64", "METAML_IMAGE_PULL_SECRET=x,y",
		}},
		"file, with lists": toml("env = ['A=1,2', 'B']\nmount = ['pvc:d:/d']\ncpu = 2\nmemory = '4Gi'\n" +
			"image_pull_secret = ['x', 'y']\n[node_selector]\n'kubernetes.io/arch' = 'amd64'\n"),
		"file, inline": toml("env = ['A=1,2', 'B']\nmount = 'pvc:d:/d'\ncpu = 2.0\nmemory = '4Gi'\n" +
			"image_pull_secret = 'x,y'\nnode_selector = {'kubernetes.io/arch' = 'amd64'}\n"),
	} {
		t.Run(name, func(t *testing.T) {
			r, err := settings.Resolve(run.Train, from)
			if err != nil {
				t.Fatal(err)
			}
			env, err := r.Variables([]string{"B=b"})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]settings.Variable{{Name: "A", Value: "1,2"}, {Name: "B", Value: "b", Session: true}},
				env); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff([]settings.Mount{{Claim: "d", Path: "/d"}}, r.Mounts()); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff([]settings.Label{{Key: "kubernetes.io/arch", Value: "amd64"}}, r.Selector()); d != "" {
				t.Error(d)
			}
			if got := strings.Join(r.List("image_pull_secret"), " "); got != "x y" {
				t.Errorf("pull secrets %s", got)
			}
			if cores, err := settings.ParseCores(r.Text("cpu")); err != nil || cores != 2000 {
				t.Errorf("%d thousandths of a core, %v", cores, err)
			}
			again := settings.Recorded(run.Train, r.All())
			if d := cmp.Diff(again.Values, honoured(r)); d != "" {
				t.Errorf("its record says other settings\n%s", d)
			}
		})
	}
}

// honoured are the values that a target uses, and the defaults of others.
func honoured(r *settings.Resolved) map[string]settings.Value {
	values := maps.Clone(r.Values)
	maps.DeleteFunc(values, func(_ string, v settings.Value) bool { return v.Text == "" })
	return values
}

func TestTablesOfFiles(t *testing.T) {
	for text, want := range map[string]string{
		"[env]\nB = 'x y'\nA = 1\nC = 0.5\nD = true\n":         "A=1\nB=x y\nC=0.5\nD=true",
		"env.A = 'a'\nenv.B = ''\n":                            "A=a\nB=",
		"retries = 2\n[env]\nA = '1'\n[package]\nname = 'x'\n": "A=1",
		"env = []\n":         "",
		"\n[env]\nA = [1]\n": ":3: env takes a text as A",
		"[env]\nA = 1\n[env.B]\nC = 1\n": ":2: env takes a text as B, not a table: a name with dots is written in " +
			"quotes",
		"[env]\nA = '''x\ny'''\n": ":2: env takes values of one line, and A has more; a Secret can hold it (secret)",
		"env = [\"A=x\\ny\"]\n": ":1: env takes values of one line, and item 1 of its list has more; a Secret can " +
			"hold it (secret)",
		"env = [1979-05-27]\n": ":1: env takes a text as item 1 of its list",
		"env = 3\n":            ":1: env takes a list of variables, not 3",
		"[env]\n'A=B' = 'x'\n": `:2: env has the name "A=B", which holds = or a line break`,
		"[[env]]\nA = 'x'\n":   ":2: env takes a text as item 1 of its list",
		"[node_selector]\nkubernetes.io = 'x'\n": ":2: node_selector takes a text as kubernetes, not a table: a " +
			"name with dots is written in quotes",
		"[mount]\n'/data' = 'pvc:data'\n": `:2: there is no setting "mount./data"`,
		"mount = {a = 'b'}\n":             ":1: mount takes a list of volumes, not a table",
		"cpu = ['a']\n":                   ":1: cpu takes a number of cores, not a list",
		"cpu = true\n":                    ":1: cpu takes a number of cores, not true",
		"memory = 4\n": ":1: memory takes an amount of memory, such as 4Gi or 500Mi, and " +
			"4 is 4 bytes",
		"gpu = '2'\n": `:1: gpu takes an integer, not the text "2"`,
	} {
		t.Run(text, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "metaml.toml")
			write(t, file, text)
			r, err := settings.Resolve(run.Train, settings.Sources{File: settings.File{Path: file}})
			var got string
			if err != nil {
				got, _, _ = strings.Cut(strings.TrimPrefix(err.Error(), file), "\n")
			} else {
				got = r.Text("env")
			}
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestDecoratorsValuesAreChecked(t *testing.T) {
	for name, c := range map[string]struct {
		value any
		want  string
	}{
		"mount":         {map[string]any{"a": "b"}, `the decorator's "mount" takes a list of volumes, not a table`},
		"env":           {[]any{[]any{}}, `the decorator's "env" takes a text as item 1 of its list`},
		"node_selector": {map[string]any{"a": nil}, `the decorator's "node_selector" takes a text as a`},
		"cpu":           {nil, `the decorator's "cpu" takes a number of cores, not <nil>`},
		"seed":          {[]any{"1"}, `the decorator's "seed" takes an integer, not a list`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := settings.Resolve(run.Train, settings.Sources{Decorator: map[string]any{name: c.value}})
			if err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestAFileIsFoundWhereItWasNamed(t *testing.T) {
	project, work := t.TempDir(), t.TempDir()
	for _, dir := range []string{project, work} {
		write(t, filepath.Join(dir, "pod.yaml"), "spec: {}\n")
	}
	toml := filepath.Join(project, "metaml.toml")
	write(t, toml, "pod_template = 'pod.yaml'\n")
	r, err := onCluster(t, "", settings.Sources{File: settings.File{Path: toml}, Dir: work})
	if err != nil || r.Text("pod_template") != filepath.Join(project, "pod.yaml") {
		t.Errorf("got %s, %v", r.Text("pod_template"), err)
	}
	r, err = onCluster(t, "--pod-template pod.yaml", settings.Sources{File: settings.File{Path: toml}, Dir: work})
	if err != nil || r.Text("pod_template") != filepath.Join(work, "pod.yaml") {
		t.Errorf("got %s, %v", r.Text("pod_template"), err)
	}
	_, err = onCluster(t, "--pod-template none.yaml", settings.Sources{Dir: work})
	want := "pod_template (cell) takes a file, and there is none at " + filepath.Join(work, "none.yaml")
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestTheKeyHasWhatChangesARun(t *testing.T) {
	dir := t.TempDir()
	template := filepath.Join(dir, "pod.yaml")
	write(t, template, "spec: {}\n")
	environ := []string{"MODE=fast", "TOKEN=hunter2"}
	key := func(line string) string {
		t.Helper()
		r, err := onCluster(t, line, settings.Sources{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		key, err := r.Key(environ)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(key, "\n")
	}
	const all = "--image a --env MODE --env B=1 --secret TOKEN --mount pvc:d:/d --mount pvc:e:/e --image-python /p "
	was := key(all + "--pod-template pod.yaml")
	if strings.Contains(was, "hunter2") {
		t.Errorf("the key has a secret: %s", was)
	}
	for _, line := range []string{
		"--image a --env B=1 --env MODE --secret TOKEN --mount pvc:e:/e --mount pvc:d:/d --image-python /p " +
			"--pod-template pod.yaml --memory 4Gi --gpu 1 --node-selector a=b --strict",
		strings.Replace(all, "--env MODE", "--env MODE=fast", 1) + "--pod-template pod.yaml",
	} {
		if got := key(line); got != was {
			t.Errorf("%s makes another key\n got %s\nwant %s", line, got, was)
		}
	}
	for without := range strings.SplitSeq(strings.TrimPrefix(strings.TrimSpace(all), "--"), " --") {
		if key(strings.Replace(all, without, "cpu 1", 1)+"--pod-template pod.yaml") == was {
			t.Errorf("%s is not in the key", without)
		}
	}
	write(t, template, "spec: {priority: 1}\n")
	if key(all+"--pod-template pod.yaml") == was {
		t.Error("another template has the same key")
	}
	environ[0] = "MODE=slow"
	if !strings.Contains(key(all), "MODE=slow") {
		t.Error("another value of the session has the same key")
	}
	environ = nil
	r, err := onCluster(t, "--env MODE", settings.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Key(environ)
	want := "env (cell) sends MODE along, which is not set here\nSet it before, in a notebook with %env MODE=VALUE, " +
		"or leave it out."
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestOnThisMachineNoneOfThemIsInTheKey(t *testing.T) {
	r, err := settings.Resolve(run.Train, settings.Sources{Environ: []string{"METAML_IMAGE=a", "METAML_ENV=A"}})
	if err != nil {
		t.Fatal(err)
	}
	if key, err := r.Key(nil); err != nil || len(key) > 0 {
		t.Errorf("got %q, %v", key, err)
	}
}

// TestWhatIsNotInTheKeyIsNamedWhenAttaching looks at each setting of a cluster alone.
func TestWhatIsNotInTheKeyIsNamedWhenAttaching(t *testing.T) {
	apart := []string{
		"context", "namespace", // a part of where the run is
		"requirements", // whose content is in the key beside the settings
		"uv",           // which makes no difference to the run
	}
	for _, d := range settings.All {
		if !slices.Equal(d.Targets, []string{run.Kubernetes}) {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			spec := run.Spec{Settings: []run.Setting{{Name: d.Name, Value: "other"}}}
			named := len(run.Differs(run.Spec{}, spec)) == 1
			if named == (d.Key || slices.Contains(apart, d.Name)) {
				t.Errorf("in the key: %t, named: %t", d.Key, named)
			}
		})
	}
}

func TestWithoutAnImageOrAPlaceForOneNothingStarts(t *testing.T) {
	for _, c := range []struct {
		environ       string
		needs, places bool // what is refused
		makes         bool
		repository    string
	}{
		{"", true, true, true, ""},
		{"METAML_LOAD=ctr", true, false, true, ""},
		{"METAML_PUBLISH=0", true, false, true, ""},
		{"METAML_IMAGE=a", false, false, false, ""},
		{"METAML_REPOSITORY=a/b", true, false, true, "a/b"},
		{"METAML_REPOSITORY=a/b METAML_IMAGE_NAME=c", true, false, true, "a/b/c"},
		{"METAML_REPOSITORY=a/b METAML_IMAGE=c", false, false, false, "a/b"},
	} {
		t.Run(c.environ, func(t *testing.T) {
			r, err := onCluster(t, "", settings.Sources{Environ: strings.Fields(c.environ)})
			if err != nil {
				t.Fatal(err)
			}
			needs, places := settings.NeedsImage(r), settings.NeedsPlaceForImage(r)
			if (needs != nil) != c.needs || (places != nil) != c.places || r.MakesImage() != c.makes ||
				r.Repository() != c.repository {
				t.Errorf("got %v, %v, made %t for %q", needs, places, r.MakesImage(), r.Repository())
			}
			if user, ok := errors.AsType[*usererror.Error](places); c.places && (!ok ||
				user.Code != usererror.CodeImage || !strings.Contains(user.Hint, "--repository REGISTRY/NAME")) {
				t.Errorf("got %v", places)
			}
		})
	}
}

func FuzzItems(f *testing.F) {
	for _, text := range []string{
		"A=1\nB", "A=s/k", "a/b=c", "gpu=yes:NoSchedule", "pvc:d/s:/d", "data/../x", "1.5Gi", "1e-9", "\x00",
		"a@sha256:",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, d := range settings.All {
			given, err := settings.Give(d, text)
			if err != nil {
				continue
			}
			values := []run.Setting{{Name: "target", Value: run.Kubernetes}, {Name: d.Name, Value: given.Value}}
			r := settings.Recorded(run.Train, values)
			for _, m := range r.Mounts() {
				deeper := slices.Contains(strings.Split(m.Path, "/"), "..")
				if deeper || !filepath.IsAbs(m.Path) || strings.HasPrefix(m.Sub, "/") {
					t.Errorf("%q mounts %+v", text, m)
				}
			}
			for _, p := range r.Include() {
				if !filepath.IsLocal(p) {
					t.Errorf("%q includes %s", text, p)
				}
			}
			if n, err := settings.ParseCores(text); err == nil && n <= 0 {
				t.Errorf("%q is %d thousandths of a core", text, n)
			}
		}
	})
}

// A login in the address of an index is used, and gets into no record, key or message.
func TestLoginsOfIndexesAreNotRecorded(t *testing.T) {
	r, err := onCluster(t, "--index https://me:hunter2@a.example/simple --index https://b.example/simple",
		settings.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"https://me:hunter2@a.example/simple", "https://b.example/simple"}
	if d := cmp.Diff(want, r.List("index")); d != "" {
		t.Error(d)
	}
	key, err := r.Key(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(r.All()), fmt.Sprint(key)} {
		if strings.Contains(text, "hunter2") || strings.Contains(text, "me:") ||
			!strings.Contains(text, "://a.example/simple") {
			t.Error(text)
		}
	}
}
