package image

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/metaml/metaml/deployer/image/indexes"
	"github.com/metaml/metaml/deployer/image/resolve"
)

// Dockerfile gives what `docker build` makes the same environment of, for the program in the folder "program" beside
// it: the texts of Dockerfile and of the requirements.txt that it names. Where all is made of wheels each is pinned by
// its digest. In the image the program is at the path program.
func (m *Maker) Dockerfile(
	ctx context.Context,
	r Request,
	program string,
) (dockerfile, requirements string, err error) {
	r, on, err := m.ready(ctx, r)
	if err != nil {
		return "", "", err
	}
	install := strings.Fields(
		"/" + prefix + "/bin/python -m pip install --no-cache-dir --requirement /tmp/requirements.txt",
	)
	wheels, _, err := m.listed(ctx, r)
	switch {
	case err == nil:
		requirements = resolve.Requirements(wheels)
		install = append(install, "--no-deps", "--require-hashes", "--only-binary", ":all:")
	case r.Builder == nil:
		return "", "", err
	default: // something is built from source
		requirements = indexes.WithoutLogins(r.Packages.Requirements + r.Packages.Constraints)
	}
	// What a virtual environment brings along, and the lock has not.
	brings := slices.DeleteFunc([]string{"setuptools", "pip"}, func(name string) bool {
		return strings.Contains("\n"+requirements, "\n"+name+"==")
	})
	var b strings.Builder
	fmt.Fprintf(&b, "# docker build --platform linux/%s .\n", r.Packages.Arch)
	b.WriteString("# Where packages come from an index of your own: --secret id=pip.conf,src=PATH-OF-PIP.CONF\n")
	fmt.Fprintf(&b, "FROM %s@%s\n", on.name.Context().Name(), on.digest)
	with := func(options string, args ...string) {
		text, _ := json.Marshal(args) // of strings
		fmt.Fprintf(&b, "RUN %s%s\n", options, text)
	}
	execute := func(args ...string) { with("", args...) }
	b.WriteString("USER root\n")
	if len(r.System) > 0 {
		execute("apt-get", "update")
		execute(slices.Concat([]string{"apt-get", "install", "--yes", "--no-install-recommends"}, r.System)...)
	}
	b.WriteString("COPY requirements.txt /tmp/requirements.txt\n")
	execute("python"+m.python(), "-m", "venv", "/"+prefix)
	with("--mount=type=secret,id=pip.conf,target=/etc/pip.conf ", install...)
	if len(brings) > 0 {
		execute(append([]string{"/" + prefix + "/bin/python", "-m", "pip", "uninstall", "--yes"}, brings...)...)
	}
	for _, command := range r.After {
		execute(command...)
	}
	fmt.Fprintf(&b, "ENV PATH=/%s/bin:$PATH VIRTUAL_ENV=/%[1]s HOME=/home/metaml\n", prefix)
	fmt.Fprintf(&b, "COPY program %s\n", program)
	fmt.Fprintf(&b, "WORKDIR /home/metaml\nRUN [\"chown\", \"%d:%[1]d\", \"/home/metaml\"]\nUSER %[1]d:%[1]d\n", user)
	fmt.Fprintf(&b, "ENTRYPOINT [\"/%s/bin/python\", \"%s/code/main.py\"]\n", prefix, program)
	return b.String(), requirements, nil
}
