package mirror

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/kube/cluster"
	"github.com/metaml/metaml/deployer/kube/manifest"
)

// happening is what the cluster notes about an object, of its event what is read here.
type happening struct {
	to, reason, message string
	at                  time.Time
}

const (
	eventsEvery = 2 * time.Second // how often events are listed at most while a trial waits
	eventsPart  = 20              // they are listed at most for this part of the time: a namespace may have many
	eventsPage  = 500
	eventsPages = 40
)

// listEvents reads what the cluster notes about the run's Jobs and the pods that wait, if something waits long enough
// that somebody wants to know why.
func (m *mirror) listEvents(ctx context.Context, s *seen) []happening {
	if !m.waits(s) {
		m.happened = nil
		return nil
	}
	wanted := map[string]bool{}
	for i := range s.jobs {
		wanted[s.jobs[i].Name] = true
		for _, p := range s.jobs[i].pods {
			if p.Status.Phase == corev1.PodPending {
				wanted[p.Name] = true
			}
		}
	}
	return m.eventsOf(ctx, wanted)
}

// eventsOf reads what the cluster notes about some objects, by their names.
func (m *mirror) eventsOf(ctx context.Context, wanted map[string]bool) []happening {
	begin := time.Now()
	if begin.Before(m.lookAt) {
		return m.happened
	}
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	var found []happening
	options := metav1.ListOptions{Limit: eventsPage}
	for range eventsPages { // in the order of names, those of the Job behind those of its pods
		list, err := m.cluster.Core.Events(m.cluster.Namespace).List(ctx, options)
		if err != nil {
			found = m.happened // it says less, and nothing wrong
			break
		}
		for i := range list.Items {
			if e := &list.Items[i]; wanted[e.InvolvedObject.Name] {
				found = append(found, happening{e.InvolvedObject.Name, e.Reason, e.Message, when(e)})
			}
		}
		if options.Continue = list.Continue; options.Continue == "" {
			break
		}
	}
	m.happened, m.lookAt = found, time.Now().Add(max(eventsEvery, eventsPart*time.Since(begin)))
	return m.happened
}

// waits reports whether a pod does not run yet, or is missing.
func (m *mirror) waits(s *seen) bool {
	if len(s.jobs) == 0 {
		return false
	}
	j := s.jobs[len(s.jobs)-1]
	if manifest.Finished(j.Job) || s.now.Sub(j.CreationTimestamp.Time) < time.Second {
		return false
	}
	going := 0
	for _, p := range j.pods {
		if p.Status.Phase == corev1.PodPending && s.now.Sub(p.CreationTimestamp.Time) > time.Second {
			return true
		}
		if p.Status.Phase == corev1.PodPending || p.Status.Phase == corev1.PodRunning {
			going++
		}
	}
	left := m.planner.state.Completions - m.planner.state.Count().Done()
	return j.Spec.Parallelism != nil && going < min(int(*j.Spec.Parallelism), left)
}

// newest finds the last that happened to an object for one of the reasons.
func (s *seen) newest(name string, reasons ...string) *happening {
	var last *happening
	for i := range s.events {
		e := &s.events[i]
		if e.to == name && slices.Contains(reasons, e.reason) && (last == nil || e.at.After(last.at)) {
			last = e
		}
	}
	return last
}

func when(e *corev1.Event) time.Time {
	return slices.MaxFunc([]time.Time{
		e.EventTime.Time, e.LastTimestamp.Time, e.FirstTimestamp.Time,
		e.CreationTimestamp.Time,
	}, time.Time.Compare)
}
