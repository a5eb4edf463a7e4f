package mirror

import (
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/run"
)

// The record has the range, and what the autoscaler chooses from it is in no event of its own.
func TestWhatAnAutoscalerChoosesIsNoScaling(t *testing.T) {
	w := newServerWorld(t)
	w.spec.Want(run.Replicas{Min: 2, Max: 10})
	w.asked = run.Replicas{Min: 2, Max: 10}
	w.answers()
	w.expect("")
	w.deployment.Spec.Replicas = new(int32(3))
	w.pod("c", 1, true)
	w.settled()
	w.expect("worker.started 1/2.1, worker.ready 1/2.1")
	if n := w.plans.state.Server.Number(w.asked); n != 3 {
		t.Errorf("it has %d replicas", n)
	}
	w.deployment.Spec.Replicas = new(int32(2))
	w.pods = w.pods[:2]
	w.settled()
	w.expect("worker.ended 1/2.1 scaled")
	if s := w.plans.state.Server; len(s.Workers) != 2 || s.Number(w.asked) != 2 {
		t.Errorf("it is %+v", s)
	}
	w.asked = run.Replicas{Min: 2, Max: 4}
	w.expect("server.scaled")
	if got, scaled := w.plans.state.Server.ReplicasOf(w.spec); got != w.asked || !scaled {
		t.Errorf("it has %s", got)
	}
	w.wants(1, 2)
	w.settled()
	w.expect("server.scaled")
	if got, scaled := w.plans.state.Server.ReplicasOf(w.spec); got != (run.Replicas{Min: 2}) || !scaled {
		t.Errorf("it has %s", got)
	}
}

func TestWhatPeopleHearOfAnAutoscaler(t *testing.T) {
	now := time.Unix(10_000, 0)
	const missing = "failed to get cpu utilization: " + noMetrics + ": the server could not find the requested resource"
	for _, test := range []struct {
		name            string
		status          corev1.ConditionStatus
		reason, message string
		lasts           time.Duration
		known           string // what they were given last
		want            string // the beginning of what they are given
	}{
		{"it works", corev1.ConditionTrue, "ValidMetricFound", "", time.Hour, "", ""},
		{"nothing is measured", corev1.ConditionFalse, "FailedGetResourceMetric", missing, 0, "", "the number of its"},
		{"that is known", corev1.ConditionFalse, "FailedGetResourceMetric", missing, time.Hour, scalerMissing, ""},
		{"it works since", corev1.ConditionTrue, "ValidMetricFound", "", time.Minute, scalerMissing, scalerActive},
		{"it has just begun to", corev1.ConditionTrue, "ValidMetricFound", "", time.Second, scalerMissing, ""},
		{"nothing again, for a moment", corev1.ConditionFalse, "FailedGetResourceMetric", missing, 0, scalerActive, ""},
		{"a new pod", corev1.ConditionFalse, "FailedGetResourceMetric", "no metrics returned", time.Second, "", ""},
		{
			"none of its pods is measured", corev1.ConditionFalse, "FailedGetResourceMetric", "no metrics returned",
			time.Hour, "", scalerBlind,
		},
		{"it is stopped", corev1.ConditionFalse, "ScalingDisabled", "", time.Hour, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newServerWorld(t)
			w.now, w.asked = now, run.Replicas{Min: 2, Max: 10}
			w.scaler = &autoscalingv2.HorizontalPodAutoscaler{}
			w.scaler.Status.Conditions = []autoscalingv2.HorizontalPodAutoscalerCondition{{
				Type: autoscalingv2.ScalingActive, Status: test.status, Reason: test.reason, Message: test.message,
				LastTransitionTime: metav1.NewTime(now.Add(-test.lasts)),
			}}
			got := scalerNote(&w.serverSeen, test.known).Text
			if test.want == "" && got != "" || len(got) < len(test.want) || got[:len(test.want)] != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
