package cluster

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
)

// LoginFiles changes when a file changes that says how we log in: a kubeconfig, a token, a certificate.
func (c *Cluster) LoginFiles() string {
	var all strings.Builder
	for _, path := range c.login.files {
		if info, err := os.Stat(path); err == nil {
			fmt.Fprintf(&all, "%s %d %d\n", path, info.Size(), info.ModTime().UnixNano())
		}
	}
	return all.String()
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
