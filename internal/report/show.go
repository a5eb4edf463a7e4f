package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/metaml/metaml/deployer"
	"github.com/metaml/metaml/deployer/run"
	"github.com/metaml/metaml/deployer/view"
	"github.com/metaml/metaml/internal/launch/watch"
)

// Output is where a run is shown to people; a terminal gets colours, and lines of its width.
type Output struct {
	To      io.Writer
	Environ []string // NAME=VALUE; of it NO_COLOR and TERM count
}

// Run shows a training run: its table, failures, settings and where it keeps things. With all, the table has every
// trial.
func (o Output) Run(client *deployer.Client, l *run.Listed, table []run.Row, all bool) error {
	facts := view.Facts{
		Spec: l.Spec, Table: table, AllRows: all, NoPage: true, TensorBoard: watch.TensorBoard(l.State),
	}
	t := view.New(facts, l.State, time.Now())
	text := t.Text()
	if width, _, ok := watch.Terminal(o.To); ok { // its lines are safe, and have colours
		text = strings.Join(t.Terminal(width, math.MaxInt, watch.Colours(o.To, o.Environ)), "\n")
	}
	fmt.Fprintln(view.Raw(o.To), text)
	for _, f := range watch.Failures(l.State) {
		_, body := f.Text()
		fmt.Fprintf(o.To, "\n%s\n%s\n", f.Heading(), body)
	}
	return o.origin(client, l)
}

// origin says where a run came from, with what settings, and where it keeps things.
func (o Output) origin(client *deployer.Client, l *run.Listed) error {
	fmt.Fprintf(o.To, "\nfrom %s, submitted %s, %s\n", l.Spec.Source,
		l.Spec.Created.Local().Format("2006-01-02 15:04:05"), StateWord(l))
	for _, s := range l.Spec.Settings {
		if s.Origin != "default" {
			fmt.Fprintf(o.To, "  %s = %s (%s)\n", s.Name, s.Words(), s.Origin)
		}
	}
	what := "outputs and logs"
	if client.Runs.Kept(l.Spec.Name) != nil {
		what = "logs"
	}
	_, err := fmt.Fprintf(o.To, "%s: %s\n", what, folderOf(client, l))
	return err
}

// Server shows a server: how it is, its workers, why its newest revision failed.
func (o Output) Server(client *deployer.Client, l *run.Listed) error {
	p := view.NewPanel(view.ServerFacts{Spec: watch.Revision(client, l), Liveness: l.Liveness, Health: l.Health},
		l.State, time.Now())
	text := p.Text()
	if width, height, ok := watch.Terminal(o.To); ok {
		text = strings.Join(p.Terminal(width, height, watch.Colours(o.To, o.Environ)), "\n")
	}
	fmt.Fprintln(view.Raw(o.To), text)
	s := l.State.Server
	if body := view.ServerFailure(s.Failed); body != "" {
		fmt.Fprintf(o.To, "\n%s\n", body)
	}
	if len(s.Workers) > 0 && l.Liveness != run.Dead {
		fmt.Fprintln(o.To)
		table := tabwriter.NewWriter(o.To, 0, 0, 3, ' ', 0)
		processes := l.Target == run.Local // those in a cluster have no number here
		fmt.Fprintf(table, "%s\tREVISION\tSTATE\tATTEMPT", strings.ToUpper(l.Spec.Unit()))
		if processes {
			fmt.Fprint(table, "\tPROCESS")
		}
		fmt.Fprintln(table)
		for i := range s.Workers {
			w := &s.Workers[i]
			fmt.Fprintf(table, "%d\t%d\t%s\t%d", w.Index, w.Revision, workerWord(w), w.Attempt)
			if processes {
				fmt.Fprintf(table, "\t%d", w.PID)
			}
			fmt.Fprintln(table)
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	if line := revisionsLine(revisionsOf(client, l), s.Starting); line != "" {
		fmt.Fprintf(o.To, "\n%s\n", line)
	}
	return o.origin(client, l)
}

// shownRevisions are how many revisions of a server are named, the newest first.
const shownRevisions = 8

// revisionsLine names the revisions of a server, of which one is perhaps being started; "" where there is one alone.
func revisionsLine(all []Revision, starting int) string {
	if len(all) < 2 {
		return ""
	}
	var words []string
	for _, r := range slices.Backward(all) {
		if len(words) == shownRevisions {
			words = append(words, fmt.Sprintf("%d older", len(all)-shownRevisions))
			break
		}
		var about []string
		if r.Of > 0 {
			about = append(about, fmt.Sprintf("%d again", r.Of))
		}
		if r.Revision == starting && !r.Ready {
			about = append(about, "starting")
		} else if !r.Ready {
			about = append(about, "never answered")
		}
		word := strconv.Itoa(r.Revision)
		if len(about) > 0 {
			word += " (" + strings.Join(about, ", ") + ")"
		}
		words = append(words, word)
	}
	return "revisions: " + strings.Join(words, ", ")
}

func workerWord(w *run.Worker) string {
	switch {
	case w.Ended:
		return "ended (" + string(w.Reason) + ")"
	case w.Ready:
		return "ready"
	default:
		return "starting"
	}
}

// folderOf is where a run keeps everything.
func folderOf(client *deployer.Client, l *run.Listed) string {
	dir, _ := client.Runs.Where(l.Spec.Name)
	return dir
}
