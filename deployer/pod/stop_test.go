package pod_test

import (
	"testing"

	"github.com/metaml/metaml/deployer/pod"
)

func TestOnlyTheStopAnnotationStops(t *testing.T) {
	for text, want := range map[string][2]bool{
		"":                               {false, false},
		"metaml/stop=\"2026\"":           {true, false},
		"metaml/stop=\"now\"":            {true, true},
		"b=\"\"\nmetaml/stop=\"now\"\nz": {true, true},
		"a=\"metaml/stop=\"\nb=\"\"\n":   {false, false},
		"a=\"1\"\nmetaml/stop=\"\"\n":    {true, false},
		"metaml/stopped=\"now\"\n":       {false, false},
	} {
		t.Run(text, func(t *testing.T) {
			if asked, now := pod.StopRequested([]byte(text)); asked != want[0] || now != want[1] {
				t.Errorf("%q stops: %v, at once: %v", text, asked, now)
			}
		})
	}
}

func TestWhomAStopIsFor(t *testing.T) {
	for _, c := range []struct {
		name, text string
		trial      int
		round      int
		want       bool
	}{
		{"the run", `{"all": true}`, 3, 1, true},
		{"one trial", `{"trials": [2, 3]}`, 3, 1, true},
		{"another trial", `{"trials": [2]}`, 3, 1, false},
		{"this Job", `{"all": true, "round": 2}`, 3, 2, true},
		{"the Job before", `{"all": true, "round": 1}`, 3, 2, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := pod.ParseStop([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Of(c.trial, c.round); got != c.want {
				t.Errorf("it is for trial %d of round %d: %v", c.trial, c.round, got)
			}
		})
	}
}

func TestTheRoundOfAPod(t *testing.T) {
	for text, want := range map[string]int{"": 1, "1": 1, "12": 12, "0": 0, "x": 0} {
		t.Run(text, func(t *testing.T) {
			got, err := pod.Round(func(string) string { return text })
			if got != want || (err != nil) != (want == 0) {
				t.Errorf("%q is %d, %v", text, got, err)
			}
		})
	}
}

func FuzzStopRequested(f *testing.F) {
	f.Add([]byte("a=\"b\"\nmetaml/stop=\"now\"\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if asked, now := pod.StopRequested(data); now && !asked {
			t.Errorf("%q stops at once and does not stop", data)
		}
	})
}

func FuzzParseStop(f *testing.F) {
	f.Add([]byte(`{"all": false, "now": true, "trials": [3]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := pod.ParseStop(data); err == nil && s.All && !s.Of(0, max(s.Round, 1)) {
			t.Errorf("%q stops all and not trial 0", data)
		}
	})
}
