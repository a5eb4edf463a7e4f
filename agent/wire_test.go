package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/metaml/metaml/deployer/run"
)

func FuzzLines(f *testing.F) {
	f.Add([]byte("{\"type\":\"report\"}\nrest"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > maxLine/8 {
			return
		}
		collect := func(r io.Reader) (lines []string) {
			readLines(r, func(line []byte) { lines = append(lines, string(line)) })
			return lines
		}
		var want []string
		if i := bytes.LastIndexByte(data, '\n'); i >= 0 {
			want = strings.Split(string(data[:i]), "\n")
		}
		for _, got := range [][]string{
			collect(bytes.NewReader(data)),
			collect(iotest.OneByteReader(bytes.NewReader(data))),
		} {
			if !slices.Equal(got, want) {
				t.Fatalf("%q, want %q", got, want)
			}
		}
	})
}

func TestALineThatIsTooLongIsLeftOut(t *testing.T) {
	t.Parallel()
	var got []string
	readLines(strings.NewReader("before\n"+strings.Repeat("x", 3*maxLine)+"\nafter\n"), func(line []byte) {
		got = append(got, string(line[:min(len(line), 10)]))
	})
	if fmt.Sprint(got) != "[before after]" {
		t.Errorf("%q", got)
	}
}

// A packet that does not fit into what is read at once would lose its end.
func TestALongLineOfATrialComesWhole(t *testing.T) {
	t.Parallel()
	ours, theirs, err := eventsPair()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	written := make(chan error, 1)
	go func() {
		var err error
		for _, line := range []string{"before\n", strings.Repeat("x", maxLine-1) + "\n", "after\n"} {
			_, e := io.WriteString(theirs, line)
			err = errors.Join(err, e)
		}
		written <- errors.Join(err, theirs.Close())
	}()
	var lengths []int
	readLines(ours, func(line []byte) { lengths = append(lengths, len(line)) })
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if want := []int{6, maxLine - 1, 5}; !slices.Equal(lengths, want) {
		t.Errorf("lines of %v bytes, want %v", lengths, want)
	}
}

// Where the machine is busy, what a trial sent last is still in the channel when the time for it is over. A process
// that hides from us may keep the channel open.
func TestWhatATrialSentIsReadAlsoWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	ours, theirs, err := eventsPair()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer theirs.Close()
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprint("line ", i))
		if _, err := fmt.Fprintln(theirs, want[i]); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	readLines(&sent{channel: ours}, func(line []byte) {
		got = append(got, string(line))
		if err := ours.SetReadDeadline(time.Unix(1, 0)); err != nil && len(got) == 1 {
			t.Error(err)
		}
	})
	if !slices.Equal(got, want) {
		t.Errorf("of %d lines %d came", len(want), len(got))
	}
}

func TestReportsInATightLoopAreThinnedButNotTheLast(t *testing.T) {
	t.Parallel()
	var got []run.Report
	thin := thinner{send: func(r *run.Report) { got = append(got, *r) }}
	now := time.Unix(1e9, 0)
	const all = reportsAtWill + 100_000
	for i := range all {
		m := run.Metrics{"loss": float64(i)}
		if i == reportsAtWill+500 {
			m = run.Metrics{"rare": 1}
		}
		thin.add(nil, m, now)
		now = now.Add(time.Millisecond)
	}
	thin.flush()
	if want := reportsAtWill + 100_000/50; len(got) > want+10 || len(got) < want-10 {
		t.Errorf("%d reports of %d, want about %d", len(got), all, want)
	}
	if last := got[len(got)-1].Metrics["loss"]; last != all-1 {
		t.Errorf("the last value is %v", last)
	}
	rare := 0
	for _, r := range got {
		if r.Metrics["rare"] == 1 {
			rare++
		}
	}
	if rare != 1 {
		t.Errorf("a metric that was reported once is there %d times", rare)
	}
}

func TestGPUsAreDealtOutLikeCards(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		gpus, parallelism int
		want              string
	}{
		{4, 2, "[0,2 1,3]"}, {4, 4, "[0 1 2 3]"}, {2, 4, "[0 1 0 1]"}, {3, 1, "[0,1,2]"}, {0, 2, "[ ]"},
	} {
		t.Run(fmt.Sprintf("%d GPUs, %d slots", c.gpus, c.parallelism), func(t *testing.T) {
			t.Parallel()
			s := &Supervisor{opts: Options{Spec: run.Spec{Parallelism: c.parallelism, Completions: 100}}}
			for i := range c.gpus {
				s.gpus = append(s.gpus, fmt.Sprint(i))
			}
			var got []string
			for slot := range c.parallelism {
				got = append(got, s.trialEnv(slot)["CUDA_VISIBLE_DEVICES"])
			}
			if fmt.Sprint(got) != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
		})
	}
}
