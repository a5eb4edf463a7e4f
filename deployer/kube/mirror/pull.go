package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/collect"
	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/run"
)

// pulled says, beside the files of a trial, what is there.
type pulled struct {
	N int64 `json:"n"` // the event of the record with which the trial had ended; 0: it had not
}

func pulledFile(f folder.Run, trial int) string { return f.Output(trial) + ".json" }

// How long the monitor may take to answer that was started to be read, and how often it is asked.
const (
	monitorUp   = 2 * time.Minute
	monitorLook = 200 * time.Millisecond
)

// Pull fetches the files of a trial that lie on a volume or in a registry, through the run's monitor. One that has been
// suspended, as that of a run which has ended, is started for that. It does nothing if they are here since the trial's
// end.
func Pull(ctx context.Context, c *cluster.Cluster, f folder.Run, trial int) error {
	n, err := endOf(f, trial)
	if err != nil {
		return err
	}
	var is pulled
	data, err := os.ReadFile(pulledFile(f, trial))
	if err == nil && json.Unmarshal(data, &is) == nil && is.N == n && n > 0 {
		return nil
	}
	spec, err := f.ReadSpec()
	if err != nil {
		return err
	}
	if n > 0 {
		if err := dismissed(ctx, f); err != nil {
			return err
		}
	}
	p := puller{cluster: c, folder: f, name: spec.Name, trial: trial}
	defer p.end(context.WithoutCancel(ctx)) // also where it was interrupted
	for tries := 1; ; tries++ {
		err := p.fetch(ctx)
		if said, is := errors.AsType[*saidError](err); is && said.status == http.StatusNotFound {
			return noOutput("trial %d of %s has left nothing in metaml.output()", trial, spec.Name)
		}
		if err == nil {
			return folder.ReplaceJSON(pulledFile(f, trial), pulled{n})
		}
		if tries == pullTries || ctx.Err() != nil {
			return err
		}
	}
}

// pullTries is how often it is tried: whoever follows the run elsewhere may suspend the monitor meanwhile.
const pullTries = 3

// dismissed waits for whoever follows a run on this machine and is about to suspend its monitor, since the run has
// ended.
func dismissed(ctx context.Context, f folder.Run) error {
	for end := time.Now().Add(2 * outputsFail); f.Monitored() && time.Now().Before(end); {
		state, _ := f.ReadSummary(run.Spec{})
		if state == nil || !state.Phase.Final() {
			return nil // it goes on
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(waitLook):
		}
	}
	return nil
}

// puller fetches the files of one trial from where they lie.
type puller struct {
	cluster *cluster.Cluster
	folder  folder.Run
	name    string // of the run
	trial   int
	started bool // the monitor was suspended, and started for this
}

// end suspends the monitor again that was started.
func (p *puller) end(ctx context.Context) {
	if !p.started {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	_ = SuspendMonitor(ctx, p.cluster, p.name, true) // else it ends by itself
}

// wake starts the monitor, if it is suspended.
func (p *puller) wake(ctx context.Context) error {
	started, err := wakeMonitor(ctx, p.cluster, p.name)
	p.started = p.started || started
	return err
}

func (p *puller) fetch(ctx context.Context) error {
	token, err := newLive(p.cluster, p.folder, p.name, func() {}).readToken(ctx)
	if err != nil {
		return err
	}
	client := clientOf(ctx, p.cluster, p.name, token)
	defer client.http.CloseIdleConnections()
	for end := time.Now().Add(monitorUp); ; {
		if err := p.wake(ctx); err != nil {
			return err
		}
		if _, err = client.list(ctx); err == nil {
			break
		}
		if time.Now().After(end) {
			return noOutput("what trial %d of %s wrote cannot be fetched: the run's monitor, which has the way to it, "+
				"does not answer: %v", p.trial, p.name, err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(monitorLook):
		}
	}
	of := collect.Output{Trial: p.trial, Kind: collect.Latest, Elsewhere: true}
	if err := fetchFiles(ctx, p.folder, client, of); err != nil {
		return fmt.Errorf("fetch the files of trial %d: %w", p.trial, err)
	}
	return nil
}

// wakeMonitor starts a monitor that is suspended, and reports whether it was.
func wakeMonitor(ctx context.Context, c *cluster.Cluster, name string) (started bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	job, err := c.Batch.Jobs(c.Namespace).Get(ctx, manifest.MonitorName(name), metav1.GetOptions{})
	if err != nil {
		return false, c.Explain(err, "read the monitor of run "+name)
	}
	if manifest.Finished(job) { // nobody asked it for longer than --keep
		if err := remakeMonitor(ctx, c, job); err != nil {
			return false, c.Explain(err, "start the monitor of run "+name)
		}
		return true, nil
	}
	if !manifest.Suspended(job) {
		return false, nil
	}
	if err := SuspendMonitor(ctx, c, name, false); err != nil {
		return false, c.Explain(err, "start the monitor of run "+name)
	}
	return true, nil
}

// remakeMonitor makes a monitor again whose Job has ended: that starts no further pod.
func remakeMonitor(ctx context.Context, c *cluster.Cluster, ended *batchv1.Job) error {
	jobs := c.Batch.Jobs(c.Namespace)
	background := metav1.DeletePropagationBackground
	err := jobs.Delete(ctx, ended.Name, metav1.DeleteOptions{
		PropagationPolicy: &background, Preconditions: &metav1.Preconditions{UID: &ended.UID},
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) { // somebody else does the same
		return err
	}
	fresh := manifest.Again(ended)
	for {
		_, err := jobs.Create(ctx, fresh, metav1.CreateOptions{FieldManager: fieldManager})
		if !apierrors.IsAlreadyExists(err) {
			return err
		}
		now, err := jobs.Get(ctx, ended.Name, metav1.GetOptions{})
		if err == nil && now.UID != ended.UID {
			return nil // somebody else has made it
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(waitLook):
		}
	}
}

// CheckOutputs has the monitor of a run, whose pods and readers have a token, say whether it can keep what trials leave
// behind. Refused is its no. While it does not run or is not reached it is asked again; it is no error if that stays so
// until ctx is over.
func CheckOutputs(ctx context.Context, c *cluster.Cluster, name, token string) (refused string, err error) {
	client := clientOf(ctx, c, name, token)
	defer client.http.CloseIdleConnections()
	for {
		body, err := client.get(ctx, "/v1/check")
		if err == nil {
			return "", body.Close()
		}
		if said, is := errors.AsType[*saidError](err); is && (said.status == http.StatusInsufficientStorage ||
			said.status == http.StatusServiceUnavailable) {
			return said.text, nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
				return "", nil
			}
			return "", context.Cause(ctx)
		case <-time.After(monitorLook):
		}
	}
}

// clientOf asks the monitor of a run in the pod that runs when it is dialled. Connections last as long as ctx.
func clientOf(ctx context.Context, c *cluster.Cluster, name, token string) monitorClient {
	return newMonitorClient(token, func() (net.Conn, error) {
		pod, err := monitorPod(ctx, c, name)
		if err != nil {
			return nil, err
		}
		return c.Forward(ctx, pod, manifest.MonitorPort)
	})
}

// monitorPod finds the pod of a run's monitor that runs.
func monitorPod(ctx context.Context, c *cluster.Cluster, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	list, err := c.Core.Pods(c.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: manifest.LabelRun + "=" + name + "," + manifest.LabelComponent + "=" + manifest.ComponentMonitor,
	})
	if err != nil {
		return "", c.Explain(err, "look for the monitor of run "+name)
	}
	pods := make([]*corev1.Pod, len(list.Items))
	for i := range list.Items {
		pods[i] = &list.Items[i]
	}
	seen := monitorSeen{pods: pods}
	if p := seen.running(); p != nil {
		return p.Name, nil
	}
	return "", errors.New("its pod does not run yet")
}
