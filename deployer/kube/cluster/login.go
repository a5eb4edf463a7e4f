package cluster

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// LoginFiles changes when a file changes that says how we log in: a kubeconfig, a token, a certificate, what somebody
// got who has logged in.
func (c *Cluster) LoginFiles() string {
	var all strings.Builder
	note := func(path string, info fs.FileInfo) {
		fmt.Fprintf(&all, "%s %d %d\n", path, info.Size(), info.ModTime().UnixNano())
	}
	for _, path := range c.login.files {
		info, err := os.Stat(path)
		if err != nil {
			continue
		}
		note(path, info)
		if !info.IsDir() {
			continue
		}
		inside, err := os.ReadDir(path)
		if err != nil {
			continue
		}
		for _, entry := range inside[:min(len(inside), mostInside)] {
			if info, err := entry.Info(); err == nil {
				note(filepath.Join(path, entry.Name()), info)
			}
		}
	}
	return all.String()
}

// mostInside bounds how many files of a folder are looked at.
const mostInside = 200

// kept is what a folder has of a login.
type kept struct {
	variable string   // that names the folder, "" if none does
	folder   string   // of the home folder
	files    []string // in it, folders among them
}

// keeps are the files that change when somebody logs in, by the program that the kubeconfig names. What such a program
// writes whenever it is executed is not among them.
var keeps = map[string][]kept{
	"aws":                    aws,
	"aws-iam-authenticator":  aws,
	"gke-gcloud-auth-plugin": gcloud,
	"gcloud":                 gcloud,
	"kubelogin": {
		{"AZURE_CONFIG_DIR", ".azure", []string{"msal_token_cache.json", "azureProfile.json"}},
		{"", ".kube/cache", []string{"kubelogin"}},
	},
	"tsh":                {{"TELEPORT_HOME", ".tsh", []string{"keys", "current-profile"}}},
	"kubectl-oidc_login": {{"", ".kube/cache", []string{"oidc-login"}}},
}

var (
	aws = []kept{
		{"", ".aws", []string{"sso/cache", "login/cache"}},
		{"AWS_CONFIG_FILE", ".aws/config", []string{""}},
		{"AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", []string{""}},
	}
	gcloud = []kept{
		{"CLOUDSDK_CONFIG", ".config/gcloud", []string{"credentials.db", "application_default_credentials.json"}},
	}
)

// keptBy are the files of a program, there or not.
func keptBy(program string) (files []string) {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil // then nothing is kept there
	}
	for _, k := range keeps[filepath.Base(program)] {
		folder := filepath.Join(home, k.folder)
		if named := os.Getenv(k.variable); k.variable != "" && named != "" {
			folder = named
		}
		for _, name := range k.files {
			files = append(files, filepath.Join(folder, name))
		}
	}
	return files
}

// LoginDisturbs reports whether trying the login may disturb somebody: a program is executed, which may open a browser.
func (c *Cluster) LoginDisturbs() bool {
	if c.login.plugin == "" {
		return false
	}
	_, err := exec.LookPath(c.login.plugin)
	return err == nil
}

// Answers says whether the API server answers, without a login: whatever it answers is well.
func (c *Cluster) Answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	sends, err := c.anonymous()
	if err != nil {
		return err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.Server, "/")+"/version", http.NoBody)
	if err != nil {
		return err
	}
	answer, err := sends.RoundTrip(q)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}
