package launch

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/settings"
)

// slow is a target whose submissions take until they are cancelled.
type slow struct {
	deployer.Target
	started chan struct{}
}

func (s slow) At(context.Context, *settings.Resolved, []string) (deployer.Place, error) {
	return s, nil
}
func (s slow) Remarks(string) []run.Note                                      { return nil }
func (s slow) Outline(context.Context, run.Submission) ([]run.Section, error) { return nil, nil }
func (s slow) Check(*settings.Resolved) error                                 { return nil }
func (s slow) ID() string                                                     { return "" }
func (s slow) Server(context.Context, run.Spec) (*run.Listed, error)          { return nil, nil }
func (s slow) Owner() string                                                  { return "me" }
func (s slow) Environment(int) map[string]string                              { return nil }
func (s slow) Provisional(context.Context, string) (string, error)            { return "train-1", nil }
func (s slow) Active(context.Context, string) (*run.Spec, error)              { return nil, nil }
func (s slow) Submit(ctx context.Context, _ run.Submission, _ func(run.Event)) (run.Submitted, error) {
	close(s.started)
	<-ctx.Done()
	return run.Submitted{}, context.Cause(ctx)
}

// A stop between `bound` and `submitted` cancels the submission: nothing was started, and the cell says so.
func TestAStopBeforeSubmittedCancels(t *testing.T) {
	at := slow{started: make(chan struct{})}
	in, toMetaml := io.Pipe()
	fromMetaml, out := io.Pipe()
	l := &Launcher{
		In: in, Out: out, Err: os.Stderr, Dir: t.TempDir(),
		Client: func() (*deployer.Client, error) {
			return deployer.NewClient(t.TempDir(), map[string]deployer.Target{"local": at}), nil
		},
	}
	served := make(chan error, 1)
	go func() {
		served <- l.Converse(t.Context(), true, ToRun)
		_ = out.Close()
	}()
	send := func(line string) {
		t.Helper()
		if _, err := io.WriteString(toMetaml, line+"\n"); err != nil {
			t.Error(err)
		}
	}
	go send(`{"v":1,"type":"begin","kind":"train","line":"","cwd":"/","cell":{"seq":1}}`)
	var last struct {
		Type  string
		ID    int
		Error struct{ Ename, Evalue string }
	}
	lines := bufio.NewScanner(fromMetaml)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		last.Type = ""
		if err := json.Unmarshal(lines.Bytes(), &last); err != nil {
			t.Fatal(err)
		}
		switch last.Type {
		case "options":
			session, err := json.Marshal(map[string]any{
				"v": 1, "kind": "live", "interpreter": map[string]string{"path": "python3", "version": "3.11.0"},
				"cwd": "/",
				"cells": []any{map[string]any{
					"seq": 1, "source": "%%train\ndef train(): pass", "code": "def train(): pass\n", "ok": true,
				}},
			})
			if err != nil {
				t.Fatal(err)
			}
			go send(`{"v":1,"type":"request","session":` + string(session) + `}`)
		case "need":
			answer, _ := json.Marshal(map[string]any{
				"v": 1, "type": "have", "id": last.ID, "describe": map[string]any{},
			})
			go send(string(answer))
		case "accepted":
			go func() {
				send(`{"v":1,"type":"bound"}`)
				select {
				case <-at.started:
				case <-time.After(20 * time.Second):
				}
				send(`{"v":1,"type":"stop"}`)
			}()
		case "refused":
			t.Fatalf("refused: %s", lines.Text())
		}
	}
	if err := <-served; err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if last.Type != "done" || last.Error.Ename != "KeyboardInterrupt" ||
		!strings.Contains(last.Error.Evalue, "nothing was started") {
		t.Errorf("it ended with %+v", last)
	}
}
