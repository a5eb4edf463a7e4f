package launch

import (
	"fmt"
	"strings"
	"testing"
)

func TestWhatStandsBehindAttach(t *testing.T) {
	for line, want := range map[string][2]string{
		"":                               {"last", "detach"},
		" train-1 ":                      {"train-1", "detach"},
		"train-1 --interrupt=stop":       {"train-1", "stop"},
		"--interrupt stop":               {"last", "stop"},
		"--interrupt detach train-model": {"train-model", "detach"},
	} {
		t.Run(fmt.Sprintf("%q", line), func(t *testing.T) {
			name, interrupt, err := AttachLine(line)
			if err != nil || name != want[0] || interrupt != want[1] {
				t.Errorf("got %s, %s, %v", name, interrupt, err)
			}
		})
	}
	for line, want := range map[string]string{"--interrupt kill": "stop or detach", "--follow": "unknown flag"} {
		t.Run(line, func(t *testing.T) {
			if _, _, err := AttachLine(line); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v", err)
			}
		})
	}
}
