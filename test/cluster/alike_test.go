//go:build linux

package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/kube"
	"github.com/metaml/metaml/deployer/pod"
	"github.com/metaml/metaml/deployer/pod/ship"
	runs "github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
	"github.com/metaml/metaml/test/alike"
	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// inNamespace gives the client and the place of a namespace that nobody else has, on a machine that nobody else has.
func inNamespace(t *testing.T) alike.Bench {
	t.Helper()
	space, home := namespace(t), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_DATA_HOME", filepath.Join(home, "data"))
	t.Setenv("KUBECONFIG", here(t).Kubeconfig(inside.Admin))
	metaml := binary(t)
	bringAgent(t, filepath.Dir(metaml))
	t.Cleanup(func() { // its context has ended
		_ = exec.CommandContext(context.Background(), "pkill", "-f", "metaml follow .*/"+space+"$").Run()
	})
	client, err := deployer.Open(filepath.Join(filepath.Dir(metaml), "metaml-agent"), metaml, "follow")
	if err != nil {
		t.Fatal(err)
	}
	given, err := settings.ParseLine(runs.Train, "--target kubernetes --cpu 50m --memory 128Mi --namespace "+space+
		" --image "+inside.BarePython)
	if err != nil {
		t.Fatal(err)
	}
	chosen, err := settings.Resolve(runs.Train, settings.Sources{Line: given, Typed: settings.FromCell})
	if err != nil {
		t.Fatal(err)
	}
	place, err := kube.New(client.Runs.Dir, metaml, "follow").At(t.Context(), chosen, nil)
	if err != nil {
		t.Fatal(err)
	}
	return alike.Bench{Client: client, Place: place, Keeps: true, Spec: func(trials int) runs.Spec {
		return runs.Spec{
			V: 1, Series: "train", Key: t.Name(), Kind: runs.Train, Entry: "train", Completions: trials, Parallelism: 2,
			Retries: 1, Settings: chosen.All(),
		}
	}}
}

// bringAgent puts what pods execute beside this program, where a program that submits finds it.
func bringAgent(t *testing.T, from string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range ship.Programs {
		name := pod.BinaryName(p, "amd64")
		err = os.Symlink(filepath.Join(from, name), filepath.Join(filepath.Dir(self), name))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
	}
}

func TestARunIsReadAsOnEveryTarget(t *testing.T) { alike.Read(t, inNamespace(t)) }

func TestARunIsStoppedResumedAndDeletedAsOnEveryTarget(t *testing.T) {
	alike.Control(t, inNamespace(t))
}
