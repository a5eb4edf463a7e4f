package report

import (
	"strings"
	"testing"
)

func TestARequestOfAStrangerIsShownAndNotObeyed(t *testing.T) {
	line := `{"id":"1","status":503,"method":"G\u001b[2JET","path":"/\u001b]0;X\u0007\u202e\n/x","ms":1,` +
		`"error":"busy \u009b2J"}`
	want := `metaml: 1 G\x1b[2JET /\x1b]0;X\x07\u202e /x got 503 after 1.0 ms: busy \x9b2J` + "\n"
	if got := refused([]byte(line)); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if strings.Count(refused([]byte(line)), "\n") != 1 {
		t.Error("a path made a line of its own")
	}
}
