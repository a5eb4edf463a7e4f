//go:build linux

package main

import (
	"context"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/test/cluster/internal/inside"
)

// spins is a server each of whose answers takes processor time.
const spins = `
import time

import metaml


@metaml.Serve(settings={"url": "/spin", "replicas": "1..3", "cpu": "50m", "example": "1"})
def spin(number: int):
    end = time.process_time() + 0.02
    while time.process_time() < end:
        number += 0
    return number * 2
`

// The number of a server's replicas follows its load, once the cluster measures one; before that a line says that it
// does not. It is fixed, and given back, without another revision.
func TestTheReplicasOfAServerFollowItsLoad(t *testing.T) {
	t.Parallel()
	const name = "spin-1"
	space := namespace(t)
	p := newPerson(t, inside.Researcher, space)
	p.mayRun(space, inside.Researcher)
	said, code := p.serves(spins)
	if code != 0 || !strings.Contains(said, "1 replica (1 to 3)") {
		t.Fatalf("exit code %d: %s", code, said)
	}
	p.seesServer(name, "a note says that there are no metrics", func(s shownServer) bool {
		for _, note := range s.Notes {
			if note.Code == "autoscaler" {
				return strings.Contains(note.Text, "does not measure their use of processors")
			}
		}
		return false
	})

	if err := here(t).Metrics(t.Context(), nodeAddress(t)); err != nil {
		t.Fatal(err)
	}
	s := p.showServer(name)
	asking := keepsAsking(t, s.URL)
	s = p.seesServer(name, "there are three replicas", func(s shownServer) bool { return s.ready() == 3 })
	if s.Revision != 1 || s.Replicas != 3 || s.Range == nil || s.Range.Min != 1 || s.Range.Max != 3 {
		t.Errorf("under load it is %+v", s)
	}
	if out := p.must("runs"); !strings.Contains(out, "3 replicas (1 to 3)") {
		t.Errorf("the list is %s", out)
	}
	// Another revision leaves the number to the autoscaler.
	if said, code := p.serves(strings.Replace(spins, "0.02", "0.021", 1)); code != 0 ||
		!strings.Contains(said, "replicas (1 to 3)") {
		t.Errorf("exit code %d: %s", code, said)
	}
	asking.stop().check(t)
	p.seesServer(name, "there is one replica without load", func(s shownServer) bool {
		return s.Revision == 2 && s.ready() == 1 && len(s.Workers) == 1
	})

	p.must("scale", name, "2")
	s = p.seesServer(name, "it has two replicas", func(s shownServer) bool { return s.ready() == 2 })
	if s.Revision != 2 || s.Replicas != 2 || s.Range != nil {
		t.Errorf("scaled to 2 it is %+v", s)
	}
	all := client(t, inside.Admin).AutoscalingV2().HorizontalPodAutoscalers(space)
	if _, err := all.Get(t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("its autoscaler is still there: %v", err)
	}
	again := strings.Replace(spins, "0.02", "0.021", 1)
	if said, code := p.serves(again); code != 0 ||
		!strings.Contains(said, "was scaled to 2 replicas, which stay: metaml scale spin-1") {
		t.Errorf("the same cell again: exit code %d: %s", code, said)
	}
	p.must("scale", name, "1..2")
	p.seesServer(name, "it has one or two replicas", func(s shownServer) bool { return s.Range != nil })
	if said, code := p.serves(again); code != 0 ||
		!strings.Contains(said, "was scaled to 1..2 replicas, which stay: metaml scale spin-1") {
		t.Errorf("the same cell once more: exit code %d: %s", code, said)
	}
	eventually(t, "its autoscaler has the range", func(ctx context.Context) (bool, error) {
		a, err := all.Get(ctx, name, metav1.GetOptions{})
		return err == nil && *a.Spec.MinReplicas == 1 && a.Spec.MaxReplicas == 2, err
	})

	p.must("stop", name)
	p.must("resume", name)
	p.readyAgain(name)
	p.must("stop", name)
	p.must("delete", name)
	leavesNothing(t, space)
}
