package settings_test

import (
	"testing"

	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
)

func TestReplicasAreANumberOrARange(t *testing.T) {
	for text, want := range map[string]run.Replicas{
		"3": {Min: 3}, "2..10": {Min: 2, Max: 10}, "2..2": {Min: 2}, "1..1_000": {Min: 1, Max: 1000},
	} {
		t.Run(text, func(t *testing.T) {
			if got, err := settings.ParseReplicas(text); err != nil || got != want {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	for text, want := range map[string]string{
		"":        `takes a whole number, or MIN..MAX such as 2..10, not ""`,
		"2..":     `takes a whole number, or MIN..MAX such as 2..10, not "2.."`,
		"2-10":    `takes a whole number, or MIN..MAX such as 2..10, not "2-10"`,
		"0":       "must be from 1 to 1,000, not 0",
		"0..3":    "must be from 1 to 1,000, not 0",
		"1..1001": "must be from 1 to 1,000, not 1001",
		"10..2":   "has the least first, as in 2..10, not 10..2",
		"1..-1":   "must be from 1 to 1,000, not -1",
	} {
		t.Run("not "+text, func(t *testing.T) {
			if got, err := settings.ParseReplicas(text); err == nil || err.Error() != want {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestARangeOfReplicasNeedsACluster(t *testing.T) {
	given := map[string]any{"replicas": "2..10"}
	_, err := settings.Resolve(run.Serve, settings.Sources{Decorator: given})
	const want = "replicas 2..10 (decorator) needs a cluster, whose autoscaler chooses the number\n" +
		"Name a number for this machine, such as --replicas 2."
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	given["target"] = run.Kubernetes
	r, err := settings.Resolve(run.Serve, settings.Sources{Decorator: given})
	if err != nil || r.Replicas() != (run.Replicas{Min: 2, Max: 10}) {
		t.Errorf("%v, %v", r, err)
	}
	other := map[string]any{"target": run.Kubernetes, "replicas": "3"}
	fixed, err := settings.Resolve(run.Serve, settings.Sources{Decorator: other})
	if err != nil {
		t.Fatal(err)
	}
	one, oneErr := r.Key(nil)
	two, twoErr := fixed.Key(nil)
	if oneErr != nil || twoErr != nil || len(one) != len(two) {
		t.Errorf("a range makes another revision: %v, %v", one, two)
	}
}
