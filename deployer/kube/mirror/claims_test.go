package mirror

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/kube/manifest"
	"github.com/metaml/metaml/deployer/run"
)

func TestPodsOfTheSameAttemptAreTwoAttempts(t *testing.T) {
	s := newScene(t, 1)
	add := func(uid types.UID, failures int, after time.Duration) {
		p := s.pod(0, failures, corev1.PodRunning, running())
		p.UID, p.CreationTimestamp = uid, metav1.NewTime(start.Add(after))
	}
	add("put back", 0, 0)
	add("failed", 0, time.Minute)
	add("last", 1, 2*time.Minute)
	dir := folder.Run(t.TempDir())
	newest := func() *claims { return &claims{folder: dir, pods: map[run.AttemptID]types.UID{}} }
	numbers := func(c *claims, pods []*corev1.Pod) map[types.UID]int {
		j := jobSeen{Job: s.seen.jobs[0].Job, pods: pods}
		c.number(&j, 1)
		got := map[types.UID]int{}
		for _, p := range pods {
			id, _ := j.id(p, 1)
			got[p.UID] = id.Number
			file, err := openCopy(dir, id, p.UID)
			if err != nil {
				t.Fatal(err)
			}
			if err := file.Close(); err != nil {
				t.Fatal(err)
			}
		}
		return got
	}
	all := s.seen.jobs[0].pods
	c := newest()
	for _, c := range []struct {
		when  string
		by    *claims
		these []*corev1.Pod
	}{
		{"at first", c, all[:1]},
		{"then", c, all},
		{"by another follower", newest(), all},
		{"by one that sees only the last ones", newest(), all[1:]},
	} {
		t.Run(c.when, func(t *testing.T) {
			got := numbers(c.by, c.these)
			for i, p := range all {
				if n, is := got[p.UID]; is && n != i+1 {
					t.Errorf("pod %q runs attempt %d, want %d", p.UID, n, i+1)
				}
			}
		})
	}
}

func TestAnAttemptThatAQueueTookBackIsFollowedByAnother(t *testing.T) {
	s := newScene(t, 1)
	s.planner.spec.Retries = 0
	job, suspended := s.seen.jobs[0].Job, true
	job.Spec.Suspend, job.Labels = &suspended, map[string]string{manifest.LabelQueue: "team"}
	p := s.pod(0, 0, corev1.PodFailed, terminated(137, "Error", "")) // it took too long to save something
	deleted := metav1.NewTime(start.Add(time.Minute))
	p.DeletionTimestamp = &deleted
	s.expect("run.planned", "run.submitted", "trial.started 0/1", "trial.ended 0/1 failed evicted", "trial.queued 0/2",
		"trial.waiting 0/2 queued")
	if past := s.planner.state.Trials[0].Past; len(past) != 1 || past[0].Text != "its queue team took it back" {
		t.Errorf("its past is %+v", past)
	}
}
