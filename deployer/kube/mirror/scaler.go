package mirror

import (
	"context"
	"slices"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/kube/rollout"
	"github.com/metaml/metaml/deployer/run"
)

// scaler is what is known of the autoscaler of a server. Nobody watches it, since not everybody may.
type scaler struct {
	of       string // what the Deployment said when it was read
	read     time.Time
	replicas run.Replicas
	object   *autoscalingv2.HorizontalPodAutoscaler // nil: there is none, or it may not be read
}

// scalerEvery is how often an autoscaler is read: it looks at the load every 15 seconds itself.
const scalerEvery = 10 * time.Second

// lookAtScaler adds to what was seen how many pods the server is to have. What cannot be read is as it was.
func (v *server) lookAtScaler(ctx context.Context, s *serverSeen) {
	if s.deployment == nil {
		return
	}
	said := manifest.ReplicasOf(s.deployment)
	if said.Ranged() && (v.scaler.of != said.String() || s.now.Sub(v.scaler.read) >= scalerEvery) {
		v.scaler.read = s.now
		if replicas, object, err := rollout.Replicas(ctx, v.cluster, s.deployment); err == nil {
			v.scaler.of, v.scaler.replicas, v.scaler.object = said.String(), replicas, object
		}
	}
	if said.Ranged() && v.scaler.of == said.String() {
		said, s.scaler = v.scaler.replicas, v.scaler.object
	}
	if !said.Ranged() {
		said.Min = s.replicas() // also of an autoscaler that was removed
	}
	s.asked = said
}

// How long an autoscaler is without a use of processors, or has one again, until people hear of it: a pod that has just
// begun has none yet, and a server of metrics may be away for a moment.
const (
	scalerPatience = 2 * time.Minute
	scalerWell     = 30 * time.Second
)

// noMetrics begins what an autoscaler says where the cluster does not know the use of processors at all.
const noMetrics = "unable to fetch metrics from resource metrics API"

// scalerNote is what people should know of the autoscaler; its text is "" if it is nothing. known is what they were
// given last.
func scalerNote(s *serverSeen, known string) run.Event {
	e := run.Event{Type: run.EventNote, Time: s.now, Code: run.NoteAutoscaler}
	if s.scaler == nil || s.replicas() == 0 || s.stopped() {
		return e
	}
	for _, c := range s.scaler.Status.Conditions {
		if c.Type != autoscalingv2.ScalingActive {
			continue
		}
		lasts := s.now.Sub(c.LastTransitionTime.Time)
		missing := strings.Contains(c.Message, noMetrics)
		switch {
		case c.Status == corev1.ConditionTrue && known != "" && known != scalerActive && lasts >= scalerWell:
			e.Text = scalerActive
		case c.Status != corev1.ConditionFalse || c.Reason == "ScalingDisabled":
		case missing && (known == "" || lasts >= scalerPatience):
			e.Text = scalerMissing
			e.Hint = "Whoever runs the cluster can install metrics-server; metaml scale chooses a number."
		case !missing && lasts >= scalerPatience:
			e.Text = scalerBlind
			e.Hint = "The command kubectl describe horizontalpodautoscaler shows why."
		}
	}
	if e.Text == known {
		e.Text = ""
	}
	return e
}

// What people hear of an autoscaler: that no pod of the cluster is measured, that those of this server are not, and,
// after either, that it works.
const (
	scalerMissing = "the number of its replicas stays as it is: the cluster does not measure their use of processors"
	scalerBlind   = "the number of its replicas stays as it is: its autoscaler does not get their use of processors"
	scalerActive  = "the number of its replicas follows its load"
)

// noteScaler notes what people should know of the autoscaler, until something else is so.
func (p *serverPlanner) noteScaler(s *serverSeen) {
	known := ""
	for i := range slices.Backward(p.state.Notes) {
		if n := &p.state.Notes[i]; n.Code == run.NoteAutoscaler {
			known = n.Text
			break
		}
	}
	if e := scalerNote(s, known); e.Text != "" {
		p.add(e)
	}
}
